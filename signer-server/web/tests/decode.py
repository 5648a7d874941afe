"""Has two decoders that nobody here wrote, zxing-cpp and zbar, read PNG and SVG files of codes.

usage: decode.py FILE=TEXT… | FILE…   with a text the file must say it; without, both decoders must agree. SVG is drawn by librsvg.
"""

import io
import subprocess
import sys
import tempfile

import zxingcpp
from PIL import Image


def picture(path):
    """The file as PNG bytes on white, 1200 pixels wide where it is SVG."""
    if path.endswith(".svg"):
        return subprocess.run(
            ["rsvg-convert", "--background-color=white", "--width=1200", "--keep-aspect-ratio", path],
            check=True,
            capture_output=True,
        ).stdout
    with open(path, "rb") as file:
        return file.read()


def by_zxing(png):
    image = Image.open(io.BytesIO(png)).convert("L")
    kinds = [zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128]
    return [(found.format.name, found.text) for found in zxingcpp.read_barcodes(image, formats=kinds)]


def by_zbar(png):
    with tempfile.NamedTemporaryFile(suffix=".png") as file:
        file.write(png)
        file.flush()
        run = subprocess.run(
            # Without the others, of which it sees some in any picture of squares.
            ["zbarimg", "--quiet", "--raw", "--nodbus", "-Sdisable", "-Sqrcode.enable", "-Scode128.enable", file.name],
            capture_output=True,
            text=True,
        )
    return run.stdout.rstrip("\n")


def main(arguments):
    failed = 0
    for argument in arguments:
        path, _, expected = argument.partition("=")
        png = picture(path)
        zxing, zbar = by_zxing(png), by_zbar(png)
        said = zxing[0][1] if len(zxing) == 1 else None
        good = said is not None and said == zbar and (not expected or said == expected)
        failed += not good
        kind = zxing[0][0] if zxing else "nothing"
        print(f"{'ok' if good else 'FAILED'}: {path}: {kind}, {len(said or '')} characters")
        if not good:
            print(f"  zxing-cpp: {zxing}\n  zbar: {zbar!r}\n  expected: {expected!r}")
    print(f"{len(arguments) - failed} passed, {failed} failed")
    return 1 if failed or not arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
