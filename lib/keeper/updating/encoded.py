"""What makes a part out of its stored form, if that is another one; each encoding's code is loaded when it comes."""

import gc

from keeper.board.layout import REUSING


def opened(download, part, done, at, place, scrap, there, pulse):
    """The `Chunks` of a part, of which `done` bytes are there; None if it is stored as it is. What comes next, comes.

    at: where the part begins in the file, place: where its next bytes are. there: as `keeper.reusing` takes it.
    """
    gc.collect()  # the buffers of the part before
    if part.encoding == REUSING:
        from keeper.reusing import Blocks

        return Blocks(download, part, done, at, scrap, there, pulse)
    download.seek(place, scrap)
    if not part.encoding:
        return None
    from keeper.inflating import Chunks

    return Chunks(download, part, done, place)
