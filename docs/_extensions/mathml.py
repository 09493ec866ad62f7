"""Formulas as MathML, which browsers draw by themselves: no script from elsewhere, no LaTeX here."""

import re

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml
from sphinx.util import logging

APPLIED = re.compile(r"<mo>(&ApplyFunction;|\u2061)</mo>(?!\s*<mo[^>]*>[(\[|])")
THIN_SPACE = r'\g<0><mspace width="0.17em"></mspace>'
logger = logging.getLogger(__name__)


def draw(translator, node, *, display):
    latex = node.astext()
    try:
        drawn = str(latex2mathml.tex2mathml(latex, as_block=display))
        translator.body.append(APPLIED.sub(THIN_SPACE, drawn))  # log w rather than logw
    except MathError as error:
        logger.warning("%s: %s", error, latex, location=node)
    raise nodes.SkipNode


def setup(app):
    renderers = [(lambda translator, node, d=d: draw(translator, node, display=d), None) for d in (False, True)]
    app.add_html_math_renderer("mathml", *renderers)
    return {"parallel_read_safe": True}
