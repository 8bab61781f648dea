"""Makes a film and a contact sheet of frames that lie below a folder as a job's results do: task-00/out/frame.png and so on.

    blender --background --factory-startup --python film.py -- --frames FOLDER --out FOLDER
"""
import argparse
import array
import glob
import math
import os
import sys

import bpy

FRAMES_PER_SECOND = 12
GAP = 6
BACKGROUND = (0.016, 0.017, 0.027, 1)
# a sheet of a film of an hour would be no use to anybody
MOST_ON_A_SHEET = 48


def film(paths, width, height, out):
    scene = bpy.context.scene
    scene.sequence_editor_create()
    first, *others = paths
    strip = scene.sequence_editor.sequences.new_image('film', first, channel=1, frame_start=1, fit_method='ORIGINAL')
    # a strip's pictures are of one folder; results are of one folder each
    for i, path in enumerate(others):
        scene.sequence_editor.sequences.new_image(f'frame {i}', path, channel=1, frame_start=i + 2, fit_method='ORIGINAL')
    strip.frame_final_duration = 1
    scene.frame_start, scene.frame_end = 1, len(paths)
    # the pictures have their look already
    scene.view_settings.view_transform, scene.view_settings.look = 'Standard', 'None'
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = width - width % 2, height - height % 2, 100
    render.fps = FRAMES_PER_SECOND
    render.image_settings.file_format = 'FFMPEG'
    render.ffmpeg.format, render.ffmpeg.codec, render.ffmpeg.constant_rate_factor, render.ffmpeg.gopsize = 'MPEG4', 'H264', 'HIGH', FRAMES_PER_SECOND
    render.filepath, render.use_file_extension = out, False
    bpy.ops.render.render(animation=True)


def pixels_of(path):
    """Width, height and four numbers a pixel, from the bottom row up."""
    image = bpy.data.images.load(path)
    image.colorspace_settings.name = 'Raw'
    width, height = image.size
    values = array.array('f', bytes(width * height * 16))
    image.pixels.foreach_get(values)
    bpy.data.images.remove(image)
    return width, height, values


def sheet(paths, width, height, out):
    step = max(1, math.ceil(len(paths) / MOST_ON_A_SHEET))
    shown = paths[::step]
    columns = min(len(shown), max(1, round(math.sqrt(len(shown) * height / width * 16 / 9))))
    rows = math.ceil(len(shown) / columns)
    whole_width, whole_height = columns * (width + GAP) + GAP, rows * (height + GAP) + GAP
    whole = array.array('f', BACKGROUND) * (whole_width * whole_height)
    for i, path in enumerate(shown):
        found_width, found_height, values = pixels_of(path)
        if (found_width, found_height) != (width, height):
            raise SystemExit(f'{path} has another size than the first frame')
        bottom = (rows - 1 - i // columns) * (height + GAP) + GAP
        left = i % columns * (width + GAP) + GAP
        for y in range(height):
            at = 4 * ((bottom + y) * whole_width + left)
            whole[at:at + 4 * width] = values[4 * y * width:4 * (y + 1) * width]
    picture = bpy.data.images.new('sheet', whole_width, whole_height)
    picture.colorspace_settings.name = 'Raw'
    picture.pixels.foreach_set(whole)
    picture.filepath_raw, picture.file_format = out, 'PNG'
    picture.save()


def main():
    reader = argparse.ArgumentParser(prog='film.py')
    reader.add_argument('--frames', required=True)
    reader.add_argument('--out', required=True)
    wanted = reader.parse_args(sys.argv[sys.argv.index('--') + 1:])
    # a job of one task has no folder for it
    paths = [path for pattern in ('task-*/out/frame.png', 'out/frame.png') for path in sorted(glob.glob(os.path.join(wanted.frames, pattern)))]
    if not paths:
        raise SystemExit(f'no task-*/out/frame.png below {wanted.frames}')
    # Blender's chatter tells times and sizes of memory
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    width, height, _ = pixels_of(paths[0])
    sheet(paths, width, height, os.path.join(wanted.out, 'sheet.png'))
    film(paths, width, height, os.path.join(wanted.out, 'film.mp4'))


main()
