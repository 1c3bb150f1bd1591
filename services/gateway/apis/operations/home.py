"""GET /: a page for whoever opens the server's address in a browser. It loads nothing from elsewhere."""

from html import escape

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from xylem.services.gateway.apis.operations.info import VERSION
from xylem.services.gateway.generation.context import Context, context_of
from xylem.services.gateway.http.openapi import answers

router = APIRouter()

PROJECT = "https://pypi.org/project/xylem-serve/"

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{model} · Xylem</title>
<style>
:root {{ color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }}
body {{ max-width: 42rem; margin: 3rem auto; padding: 0 1rem; }}
h1 {{ font-size: 1.4rem; margin-bottom: 0; }}
pre {{ padding: .8rem; overflow-x: auto; border: 1px solid #8884; border-radius: .4rem; }}
dt {{ font-weight: 600; }} dd {{ margin: 0 0 .6rem; }}
small {{ opacity: .7; }}
</style>
</head>
<body>
<h1>{model}</h1>
<p><small>served by <a href="{project}">Xylem {version}</a>, {about}{state}</small></p>
<pre>curl {url}/v1/chat/completions{key} \\
  -H 'Content-Type: application/json' \\
  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'</pre>
<dl>
<dt><a href="/v1/models">/v1/models</a></dt><dd>the models that can be asked for</dd>
<dt><a href="/openapi.json">/openapi.json</a></dt><dd>every endpoint and every field, for programs</dd>
<dt><a href="/ready">/ready</a>, <a href="/health">/health</a></dt><dd>whether the model can be served, whether the gateway lives</dd>
<dt><a href="/server_info">/server_info</a></dt><dd>the model, the settings, and who serves it</dd>
<dt><a href="/metrics">/metrics</a></dt><dd>numbers for Prometheus</dd>
</dl>
</body>
</html>
"""  # noqa: E501

# Nothing in the page runs, and nothing is fetched.
HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-store"}


@router.get("/", include_in_schema=False, response_model=None, responses=answers("A page."))
async def home(request: Request) -> HTMLResponse:
    return HTMLResponse(_page(context_of(request), str(request.base_url).rstrip("/")), headers=HEADERS)


def _page(context: Context, url: str) -> str:
    """Returns the page. Where keys are needed it names no model: anybody may open it."""
    missing, is_open = context.missing(), context.keys is None
    return PAGE.format(
        model=escape(context.served_model.model) if is_open else "MODEL",
        project=PROJECT,
        version=escape(VERSION),
        about=f"{context.served_model.context_length:,} tokens of context, " if is_open else "",
        state=f"no live {escape(', '.join(missing))}" if missing else "ready",
        url=escape(url),
        key="" if is_open else ' -H "Authorization: Bearer $XYLEM_API_KEY"',
    )
