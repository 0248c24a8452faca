"""Links to files of the repository that are no pages lead to copies in the site, with line numbers: source/FILE.html"""

import importlib
import inspect
import re
from pathlib import Path

from docutils import nodes
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import get_lexer_for_filename
from sphinx import addnodes

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"(?:minipixel|lessons|tests|examples|benchmarks|docs)/[\w./-]+")
TEXTS = {".md", ".py", ".toml", ".txt", ".yml"}


def address(env, path, line=None):
    """Where on the site a file is shown, seen from the page that is being read; the file is noted, to be written."""
    name = path.relative_to(ROOT).as_posix()
    env.sources_shown.setdefault(env.docname, set()).add(name)
    return "../" * env.docname.count("/") + f"source/{name}.html" + (f"#line-{line}" if line else "")


def page_link(env, target, child):
    """A link to a page, by its name, or to a file of the repository."""
    how = {"refdomain": "doc", "reftype": "myst", "refexplicit": True, "reftargetid": None}
    return addnodes.pending_xref("", child, reftarget=target, refdoc=env.docname, **how)


def file_of(env, node):
    """The file of the repository that a link or a word in `code` means and that is no page; None if there is none."""
    if isinstance(node, nodes.literal):
        path = ROOT / node.astext() if NAMED.fullmatch(node.astext()) else None
    elif isinstance(node, addnodes.download_reference):
        path = (ROOT / env.docname).parent / node["reftarget"] if node["reftarget"][0] != "/" else None
    elif node.get("refdomain") == "doc" and node["reftarget"] not in env.found_docs:
        path = ROOT / node["reftarget"]
        path = path if path.is_file() else path.with_name(path.name + ".py")  # MyST takes each .py for a page
    else:
        path = None
    return path.resolve() if path and path.suffix in TEXTS and path.is_file() else None


def link_sources(app, doctree):
    """Turn links to files that are no pages, and names of files in `code`, into links to their copies or pages."""
    env = app.env
    links = (addnodes.pending_xref, addnodes.download_reference, nodes.reference)
    for node in list(doctree.findall(lambda node: isinstance(node, (*links, nodes.literal)))):
        if isinstance(node, addnodes.download_reference) and node["reftarget"].endswith(".html"):  # stands there, too
            node.replace_self(nodes.reference("", "", *node.children, refuri=node["reftarget"], internal=True))
            continue
        path = None if isinstance(node, nodes.reference) else file_of(env, node)
        if path is None:
            continue
        if not isinstance(node, nodes.literal):
            node.replace_self(nodes.reference("", "", *node.children, refuri=address(env, path), internal=True))
        elif not isinstance(node.parent, (*links, nodes.title)):
            docname = env.path2doc(path)
            if docname in env.found_docs:
                link = page_link(env, docname, node.deepcopy())
            else:
                link = nodes.reference("", "", node.deepcopy(), refuri=address(env, path), internal=True)
            node.replace_self(link)


def write_sources(app):
    """The pages of all files that were linked to."""
    formatter = HtmlFormatter(linenos="inline", lineanchors="line", cssclass="highlight")
    for name in sorted(set().union(*app.env.sources_shown.values())):
        text = (ROOT / name).read_text(encoding="utf-8")
        code = highlight(text, get_lexer_for_filename(name), formatter)
        yield f"source/{name}", {"title": name, "body": f"<h1>{name}</h1>\n{code}"}, "page.html"


def begin(app):
    """Called when the environment is there."""
    if not hasattr(app.env, "sources_shown"):
        app.env.sources_shown = {}


def forget(app, env, docname):
    """Called before a page is read anew."""
    getattr(env, "sources_shown", {}).pop(docname, None)


def linkcode_resolve(env, info):
    """Where the source of an object is shown; None if it has none."""
    value = importlib.import_module(info["module"])
    for name in info["fullname"].split("."):
        value = getattr(value, name, None)
    try:
        value = inspect.unwrap(value)
        path = Path(inspect.getsourcefile(value)).resolve()
        line = inspect.getsourcelines(value)[1]
    except (TypeError, OSError):
        return None
    return address(env, path, line) if path.is_relative_to(ROOT) else None


def setup(app):
    """Called by Sphinx."""
    app.connect("builder-inited", begin)
    app.connect("env-purge-doc", forget)
    app.connect("doctree-read", link_sources, priority=400)
    app.connect("html-collect-pages", write_sources)
    app.config.linkcode_resolve = lambda domain, info: linkcode_resolve(app.env, info)
