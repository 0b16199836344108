"""The module's help and acknowledgement, which Slicer shows above the panel; HTML."""

from slicer.i18n import tr as _

# As in the extension's CMakeLists.txt.
HOMEPAGE = "https://github.com/LungNoduleSeg/SlicerLungNoduleSeg"
DOCUMENTATION = f"{HOMEPAGE}/blob/main/docs/slicer"

HELP = _(
    "<p>Finds and segments lung nodules in a chest CT, in the whole CT or from one click, and measures them."
    " <b>Research use only</b>: it is not a medical device and must not decide anything about a patient.</p>"
    "<p>Choose a CT and press <i>Apply</i> under <i>Find nodules</i>. Every nodule becomes a segment and a row of the"
    " table: click a row to see it, then accept, reject or correct it. Everything is computed on this computer; nothing"
    " is sent anywhere.</p>"
    '<p>See the <a href="{tutorial}">tutorial</a>, the <a href="{scripts}">recipes for scripts</a> and the'
    ' <a href="{homepage}">home page</a>. A CT to try it on is in the module <i>Sample Data</i>.</p>'
).format(
    tutorial=f"{DOCUMENTATION}/tutorial.md",
    scripts=f"{DOCUMENTATION}/scripts.md",
    homepage=HOMEPAGE,
)

ACKNOWLEDGEMENT = _(
    "<p>The networks follow the master's thesis of {author}, advisor {advisor}, National Cheng Kung University:"
    " <i>Lung Nodule Detection Based on The Residual U-Net with Multi-attention and Multi-scale Feature Fusion</i>."
    " Code and weights were made anew.</p>"
    "<p>The weights were trained on LIDC-IDRI: Armato III, S. G., et al., <i>Data From LIDC-IDRI</i>, The Cancer"
    ' Imaging Archive, 2015, CC BY 3.0, <a href="https://doi.org/10.7937/K9/TCIA.2015.LO9QL9SX">'
    "doi:10.7937/K9/TCIA.2015.LO9QL9SX</a>; Armato III, S. G., et al., Medical Physics 38 (2011), 915-931,"
    ' <a href="https://doi.org/10.1118/1.3528204">doi:10.1118/1.3528204</a>. The providers of the data have not'
    " endorsed this module.</p>"
    "<p>Code and weights: Apache License 2.0. If you use the module, please cite it, the thesis and the data:"
    ' <a href="{citation}">CITATION.cff</a>.</p>'
).format(author="賴亭諭", advisor="徐禕佑", citation=f"{HOMEPAGE}/blob/main/CITATION.cff")
