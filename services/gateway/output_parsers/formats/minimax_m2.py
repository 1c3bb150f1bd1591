"""MiniMax M2: a section of calls, whose parameters are as they are; what type they have is said by the tool's schema.

<minimax:tool_call>
<invoke name="name">
<parameter name="key">value</parameter>
</invoke>
</minimax:tool_call>
"""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.named_tags import NamedTags

SECTION = "<minimax:tool_call>"
SECTION_END = "</minimax:tool_call>"
TAGS = NamedTags()

MINIMAX_M2 = CallForm(TAGS.opening, TAGS.read_call, (SECTION, TAGS.closing, SECTION_END))
