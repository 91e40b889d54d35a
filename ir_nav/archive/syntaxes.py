"""Kinds of images and encodings that we ask for and take."""

from __future__ import annotations

from pydicom import uid
from pynetdicom.presentation import PresentationContext, build_context

VERIFICATION = uid.UID("1.2.840.10008.1.1")
# The study root models of PS3.4 annex C.
FIND = uid.UID("1.2.840.10008.5.1.4.1.2.2.1")
MOVE = uid.UID("1.2.840.10008.5.1.4.1.2.2.2")
GET = uid.UID("1.2.840.10008.5.1.4.1.2.2.3")

UNCOMPRESSED = (uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian)
COMPRESSED = (
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEGLSNearLossless,
    uid.JPEG2000Lossless,
    uid.JPEG2000,
    uid.RLELossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
)

# What an archive may send during C-MOVE, and during C-GET where it does not list the images.
IMAGES = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.MRImageStorage,
    uid.EnhancedMRImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
    uid.PositronEmissionTomographyImageStorage,
    uid.EnhancedPETImageStorage,
    uid.NuclearMedicineImageStorage,
    uid.XRayAngiographicImageStorage,
    uid.EnhancedXAImageStorage,
    uid.XRayRadiofluoroscopicImageStorage,
    uid.EnhancedXRFImageStorage,
    uid.XRay3DAngiographicImageStorage,
    uid.UltrasoundImageStorage,
    uid.UltrasoundMultiFrameImageStorage,
    uid.EnhancedUSVolumeStorage,
    uid.ComputedRadiographyImageStorage,
    uid.DigitalXRayImageStorageForPresentation,
    uid.SecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleByteSecondaryCaptureImageStorage,
    uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage,
    uid.MultiFrameTrueColorSecondaryCaptureImageStorage,
    uid.SegmentationStorage,
    uid.SurfaceSegmentationStorage,
    uid.SpatialRegistrationStorage,
    uid.RTStructureSetStorage,
    uid.GrayscaleSoftcopyPresentationStateStorage,
    uid.XRayRadiationDoseSRStorage,
    uid.ComprehensiveSRStorage,
    uid.EnhancedSRStorage,
    uid.BasicTextSRStorage,
    uid.EncapsulatedPDFStorage,
)
# PS3.8 9.3.2: context identifiers are odd and below 256; C-GET itself takes one.
MOST_CONTEXTS = 128


def receiving_contexts(classes: tuple[str, ...]) -> list[PresentationContext]:
    """What to propose for C-GET: for few classes each encoding by itself, so that the archive
    can send images as they are; for many the uncompressed ones only."""
    contexts = [build_context(one, list(UNCOMPRESSED)) for one in classes]
    if len(classes) * (len(COMPRESSED) + 1) < MOST_CONTEXTS:
        contexts += [build_context(one, code) for one in classes for code in COMPRESSED]
    return contexts[: MOST_CONTEXTS - 1]


def syntax_name(syntax_uid: str) -> str:
    """An encoding by its name in the standard."""
    return uid.UID(syntax_uid).name


def class_name(class_uid: str) -> str:
    """A kind of image by its name in the standard."""
    return uid.UID(class_uid).name
