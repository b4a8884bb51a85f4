"""What a release is and which one this board accepts: the signed header, the policy. A phase of its own in an update.

The names of `header` are here, too: they are the form of the release file, which the host's tools share.
"""

from keeper.release.header import (  # noqa: F401
    ENCODINGS,
    FORMAT,
    HEADER_SIZE,
    MAGIC,
    MANIFEST_OFFSET,
    MAX_MANIFEST_SIZE,
    MAX_SECURITY,
    MAX_TEXT,
    SIGNATURE_OFFSET,
    SIGNATURE_SIZE,
    Manifest,
    Part,
    check,
    digest,
    is_signed,
    key_id,
    parse,
    verify,
)
from keeper.release.policy import Policy  # noqa: F401
from keeper.release.trusted import brought  # noqa: F401
