"""Formulas as MathML, which browsers draw by themselves: no script from elsewhere, no LaTeX here."""

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)


def draw(translator, node, *, display):
    latex = node.astext()
    try:
        translator.body.append(str(latex2mathml.tex2mathml(latex, as_block=display)))
    except MathError as error:
        logger.warning("%s: %s", error, latex, location=node)
    raise nodes.SkipNode


def setup(app):
    renderers = [(lambda translator, node, d=d: draw(translator, node, display=d), None) for d in (False, True)]
    app.add_html_math_renderer("mathml", *renderers)
    return {"parallel_read_safe": True}
