"""Turns a screenshot of the game loop (BMP with 32 bits a pixel, as SDL_SaveBMP writes it) into a PNG.

    python3 benches/png.py IN.bmp OUT.png

Only what Python brings along is used. Colours are kept exactly: with a palette where 256 suffice, otherwise as RGB.
"""

import struct
import sys
import zlib


def rows_of(bitmap):
    """Width, and the rows from the top, each as a list of (red, green, blue)."""
    pixels, = struct.unpack_from("<I", bitmap, 10)
    width, height = struct.unpack_from("<ii", bitmap, 18)
    bits, = struct.unpack_from("<H", bitmap, 28)
    if bitmap[:2] != b"BM" or bits != 32 or width <= 0 or height == 0:
        raise SystemExit("not a bitmap with 32 bits a pixel")
    lines = []
    for line in range(abs(height)):
        data = bitmap[pixels + line * width * 4:pixels + (line + 1) * width * 4]
        lines.append(list(zip(data[2::4], data[1::4], data[0::4])))
    return width, lines if height < 0 else lines[::-1]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width, rows):
    """The bytes of the file. Every line goes unfiltered: flat colours compress best so."""
    colours = sorted({colour for row in rows for colour in row})
    size = struct.pack(">II", width, len(rows))
    if len(colours) <= 256:
        index = {colour: number for number, colour in enumerate(colours)}
        head = chunk(b"IHDR", size + bytes([8, 3, 0, 0, 0])) + chunk(b"PLTE", bytes(sum(colours, ())))
        lines = (bytes(map(index.__getitem__, row)) for row in rows)
    else:
        head = chunk(b"IHDR", size + bytes([8, 2, 0, 0, 0]))
        lines = (bytes(part for colour in row for part in colour) for row in rows)
    body = zlib.compress(b"".join(b"\0" + line for line in lines), 9)
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def main(source, target):
    with open(source, "rb") as file:
        width, rows = rows_of(file.read())
    with open(target, "wb") as file:
        file.write(png_of(width, rows))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: png.py IN.bmp OUT.png")
    main(*sys.argv[1:])
