"""Formulas by KaTeX, whose files lie in _static/katex: nothing is fetched; a page without formulas loads nothing.

The files are those of KaTeX 0.19.1: `npm pack katex`, dist/katex.min.css, dist/katex.min.js, dist/fonts/*.woff2.
"""

from docutils import nodes


def inline(translator, node):
    """$...$ as it was written, for formulas.js to draw."""
    translator.body.append(f'<span class="formula">{translator.encode(node.astext())}</span>')
    raise nodes.SkipNode


def displayed(translator, node):
    """$$...$$, in a line of its own."""
    translator.body.append(f'<div class="formula">{translator.encode(node.astext())}</div>\n')
    raise nodes.SkipNode


def add_files(app, pagename, templatename, context, doctree):
    """Load KaTeX into a page that has a formula."""
    if doctree and any(doctree.findall(lambda node: isinstance(node, nodes.math | nodes.math_block))):
        app.add_css_file("katex/katex.min.css")
        app.add_js_file("katex/katex.min.js", loading_method="defer")
        app.add_js_file("formulas.js", loading_method="defer")


def setup(app):
    """Called by Sphinx."""
    app.add_html_math_renderer("katex_here", (inline, None), (displayed, None))
    app.connect("html-page-context", add_files)
    app.config.html_math_renderer = "katex_here"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
