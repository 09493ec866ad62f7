"""Formulas as MathML, which browsers draw by themselves: no script from elsewhere, no LaTeX here."""

from docutils import nodes
from docutils.utils.math import latex2mathml


def markup(latex, *, display):
    return str(latex2mathml.tex2mathml(latex, as_block=display))


def visit_inline(translator, node):
    translator.body.append(markup(node.astext(), display=False))
    raise nodes.SkipNode


def visit_block(translator, node):
    translator.body.append(markup(node.astext(), display=True))
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True}
