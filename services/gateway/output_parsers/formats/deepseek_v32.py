"""DeepSeek V3.2: tags of its own markup language, in which each parameter says whether it is a string.

<｜DSML｜function_calls>
<｜DSML｜invoke name="name">
<｜DSML｜parameter name="key" string="true">value</｜DSML｜parameter>
</｜DSML｜invoke>
</｜DSML｜function_calls>
"""

from xylem.services.gateway.output_parsers.calls import CallForm
from xylem.services.gateway.output_parsers.named_tags import NamedTags

SECTION = "<｜DSML｜function_calls>"
SECTION_END = "</｜DSML｜function_calls>"
TAGS = NamedTags("｜DSML｜", says_string=True)

DEEPSEEK_V32 = CallForm(TAGS.opening, TAGS.read_call, (SECTION, TAGS.closing, SECTION_END))
