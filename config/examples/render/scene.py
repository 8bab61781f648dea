"""A cabin on a floating island, one winter evening: builds the scene, then renders one frame of the camera's way round it.

    blender --background --factory-startup --python scene.py -- --frame 0 --frames 48 --width 480 --height 270 --samples 64 --out frame.png

All is made of numbers in this file, and chance comes from one seed: the same frame is the same picture. Units are metres, z is up.
"""
import argparse
import math
import os
import random
import sys
import threading

import bpy
from mathutils import Vector, noise

SEED = 20
ISLAND_RADIUS = 6.0
CABIN = Vector((-0.9, 0.9, 0.0))
POND = Vector((2.5, -1.7, 0.0))
POND_RADIUS = 1.35
chance = random.Random(SEED)


# ---- materials and meshes

def material(name, colour, roughness=0.9, glow=0.0, metallic=0.0):
    made = bpy.data.materials.new(name)
    made.use_nodes = True
    surface = made.node_tree.nodes['Principled BSDF']
    surface.inputs['Base Color'].default_value = (*colour, 1)
    surface.inputs['Roughness'].default_value = roughness
    surface.inputs['Metallic'].default_value = metallic
    surface.inputs['Specular'].default_value = 0.3
    if glow > 0:
        # lamps stand before what glows: fewer lights to choose from, less noise
        made.cycles.sample_as_light = False
        surface.inputs['Emission'].default_value = (*colour, 1)
        surface.inputs['Emission Strength'].default_value = glow
    return made


def mesh(name, points, faces, *materials, place=(0, 0, 0), turn=0.0, choose=None):
    """`choose` says which of the materials a face gets, from its centre and its normal."""
    data = bpy.data.meshes.new(name)
    data.from_pydata([tuple(p) for p in points], [], faces)
    data.update()
    for each in materials:
        data.materials.append(each)
    if choose is not None:
        for face in data.polygons:
            face.material_index = choose(face.center, face.normal)
    made = bpy.data.objects.new(name, data)
    made.location = place
    made.rotation_euler = (0, 0, turn)
    bpy.context.collection.objects.link(made)
    return made


def box(name, low, high, look, place=(0, 0, 0), turn=0.0):
    (a, b, c), (d, e, f) = low, high
    points = [(a, b, c), (d, b, c), (d, e, c), (a, e, c), (a, b, f), (d, b, f), (d, e, f), (a, e, f)]
    faces = [(3, 2, 1, 0), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7)]
    return mesh(name, points, faces, look, place=place, turn=turn)


def ring(radius, height, sides, jitter=0.0):
    return [Vector((math.cos(a) * (radius + chance.uniform(-jitter, jitter)), math.sin(a) * (radius + chance.uniform(-jitter, jitter)), height))
            for a in (2 * math.pi * i / sides for i in range(sides))]


def lathe(rings, closed_below=True):
    """Faces between rings of equally many points, from the lowest up; a ring of one point is a tip."""
    points, faces, before, width = [], [], None, len(rings[0])
    for each in rings:
        start = len(points)
        points += each
        if before is not None:
            for i in range(width):
                j = (i + 1) % width
                faces.append((before + i, before + j, start) if len(each) == 1 else (before + i, before + j, start + j, start + i))
        before = start
    if closed_below:
        faces.append(tuple(reversed(range(width))))
    if len(rings[-1]) > 1:
        faces.append(tuple(range(before, before + width)))
    return points, faces


def ball(name, radius, look, place, rounds=2):
    data = bpy.data.meshes.get(f'ball {look.name} {rounds}')
    if data is None:
        bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=rounds, radius=1)
        first = bpy.context.object
        data = first.data
        data.name = f'ball {look.name} {rounds}'
        data.materials.append(look)
        data.polygons.foreach_set('use_smooth', [rounds > 1] * len(data.polygons))
        bpy.data.objects.remove(first)
    made = bpy.data.objects.new(name, data)
    made.location = place
    made.scale = (radius,) * 3
    bpy.context.collection.objects.link(made)
    return made


def lamp(place, colour, watts, size):
    light = bpy.data.lights.new('lamp', 'POINT')
    light.color, light.energy, light.shadow_soft_size = colour, watts, size
    made = bpy.data.objects.new('lamp', light)
    made.location = place
    bpy.context.collection.objects.link(made)


# ---- the island

def ground(x, y):
    """Height of the snow: gentle hills, flat below the cabin and the pond."""
    height = 0.55 * noise.noise(Vector((x * 0.32, y * 0.32, 3.1))) + 0.16 * noise.noise(Vector((x, y, 7.7)))
    for centre, radius in ((CABIN, 2.1), (POND, POND_RADIUS)):
        near = (Vector((x, y, 0)) - centre).length
        height *= min(1.0, max(0.0, (near - radius) / 1.1))
    return height


def island(snow, rock):
    sides = 56
    edge = [ISLAND_RADIUS * (1 + 0.11 * noise.noise(Vector((2.2 * math.cos(a), 2.2 * math.sin(a), 0.5)))) for a in (2 * math.pi * i / sides for i in range(sides))]
    rings = []
    for down in range(9, 0, -1):
        share = down / 9
        narrow = 1 - share ** 1.6
        level = []
        for i in range(sides):
            a = 2 * math.pi * i / sides
            rough = 1 + 0.42 * share * noise.noise(Vector((3 * math.cos(a), 3 * math.sin(a), share * 4)))
            radius = max(0.05, edge[i] * narrow * rough)
            level.append(Vector((radius * math.cos(a), radius * math.sin(a), -0.30 - 5.2 * share * (1 + 0.25 * noise.noise(Vector((4 * math.cos(a), 4 * math.sin(a), 9)))))))
        rings.append(level)
    for step in range(18, 0, -1):
        level = []
        for i in range(sides):
            a = 2 * math.pi * (i + 0.5 * (step % 2)) / sides
            radius = edge[i] * step / 18
            x, y = radius * math.cos(a), radius * math.sin(a)
            level.append(Vector((x, y, ground(x, y) - (0.22 if step == 18 else 0))))
        rings.append(level)
    rings.append([Vector((0, 0, ground(0, 0)))])
    points, faces = lathe(rings)
    # rings are of 56 points each but the tip: which part is rock is told by where it is
    mesh('island', points, faces, snow, rock, choose=lambda centre, normal: 0 if normal.z > 0.35 and centre.z > -0.45 else 1)


def pine(x, y, size, green, snow, bark):
    base = Vector((x, y, ground(x, y) - 0.05))
    turn = chance.uniform(0, math.pi)
    mesh('trunk', *lathe([ring(0.10 * size, 0, 7), ring(0.08 * size, 0.6 * size, 7)]), bark, place=base)
    for tier in range(4):
        low, wide = (0.38 + 0.50 * tier) * size, (0.80 - 0.17 * tier) * size
        tip = low + 0.95 * size * (1 - 0.1 * tier)
        lean = Vector((chance.uniform(-0.03, 0.03), chance.uniform(-0.03, 0.03), tip))
        mesh('branches', *lathe([ring(wide, low, 11, 0.09 * size), [lean]]), green, place=base, turn=turn + tier)
        # snow lies on the upper part of each tier
        mesh('snow on a branch', *lathe([ring(wide * 0.66, low + (tip - low) * 0.36, 11, 0.07 * size), [lean + Vector((0, 0, 0.05 * size))]]), snow, place=base, turn=turn + tier)


def forest(green, snow, bark):
    stands, tries = [], 0
    while len(stands) < 19 and tries < 4000:
        tries += 1
        a, r = chance.uniform(0, 2 * math.pi), ISLAND_RADIUS * math.sqrt(chance.uniform(0.06, 0.70))
        here = Vector((r * math.cos(a), r * math.sin(a), 0))
        in_view = here.y < CABIN.y and abs(here.x - CABIN.x - 0.35) < 2.0 or here.y < POND.y and here.x > 0.8
        if in_view or (here - CABIN).length < 2.5 or (here - POND).length < POND_RADIUS + 0.75 or any((here - other).length < 1.0 for other in stands):
            continue
        stands.append(here)
        pine(here.x, here.y, chance.uniform(0.62, 1.12), green, snow, bark)


# ---- the cabin

def logs(wood, width, depth, height):
    radius = 0.105
    for layer in range(round(height / (2 * radius))):
        z = radius * (2 * layer + 1)
        for along_x in (True, False):
            half, other = (width / 2, depth / 2) if along_x else (depth / 2, width / 2)
            for side in (-1, 1):
                reach = half + 0.20
                points, faces = lathe([[Vector((p.x, p.y, end)) for p in ring(radius, 0, 10)] for end in (-reach, reach)])
                if along_x:
                    points = [Vector((p.z, p.x + side * other, p.y + z)) for p in points]
                else:
                    points = [Vector((p.x + side * other, -p.z, p.y + z + radius * 0.5)) for p in points]
                mesh('log', [p + CABIN for p in points], faces, wood)


def roof(wood, snow, width, depth, height):
    peak, over = 1.25, 0.42
    for side in (-1, 1):
        for name, look, low, thick, shrink in (('roof', wood, 0.0, 0.10, 0.0), ('snow on the roof', snow, 0.10, 0.17, 0.05)):
            eave, top = depth / 2 + over - shrink, height + peak + low
            slope = peak / (depth / 2)
            bottom = top - slope * eave
            x = width / 2 + over - shrink
            points = [(sx * x, side * y, z + up) for sx in (-1, 1) for (y, z) in ((0, top), (eave, bottom)) for up in (0, thick)]
            mesh(name, points, [(0, 2, 6, 4), (1, 5, 7, 3), (0, 1, 3, 2), (4, 6, 7, 5), (2, 3, 7, 6), (0, 4, 5, 1)], look, place=CABIN)
    for side in (-1, 1):
        x, y = side * (width / 2 - 0.02), depth / 2
        mesh('gable', [(x, -y, height), (x, y, height), (x, 0, height + peak), (x - side * 0.1, -y, height), (x - side * 0.1, y, height), (x - side * 0.1, 0, height + peak)],
             [(0, 1, 2), (5, 4, 3), (0, 2, 5, 3), (1, 4, 5, 2), (0, 3, 4, 1)], wood, place=CABIN)


def window(along, out, z, wide, tall, glow, wood, turn):
    """In a wall at `out` from the cabin's middle; `turn` 0 is the front."""
    def part(name, low, high, look):
        box(name, low, high, look, place=CABIN, turn=turn)
    part('pane', (along - wide / 2, -out - 0.13, z), (along + wide / 2, -out - 0.05, z + tall), glow)
    for bar in (-0.5, 0, 0.5):
        part('bar', (along + bar * wide - 0.025, -out - 0.17, z - 0.03), (along + bar * wide + 0.025, -out - 0.05, z + tall + 0.03), wood)
        part('bar', (along - wide / 2 - 0.03, -out - 0.17, z + tall * (bar + 0.5) - 0.025), (along + wide / 2 + 0.03, -out - 0.05, z + tall * (bar + 0.5) + 0.025), wood)


def cabin(wood, plank, stone, snow, glow, turn):
    width, depth, height = 2.7, 2.0, 1.47
    logs(wood, width, depth, height)
    roof(plank, snow, width, depth, height)
    front, side = depth / 2, width / 2
    box('door', (-0.32, -front - 0.15, 0.02), (0.32, -front - 0.05, 1.12), plank, place=CABIN)
    box('step', (-0.5, -front - 0.55, -0.05), (0.5, -front - 0.1, 0.06), stone, place=CABIN)
    window(-0.84, front, 0.55, 0.52, 0.52, glow, plank, 0)
    window(0.84, front, 0.55, 0.52, 0.52, glow, plank, 0)
    window(0.0, side, 0.60, 0.62, 0.50, glow, plank, math.pi / 2)
    window(0.0, side, 0.60, 0.62, 0.50, glow, plank, -math.pi / 2)
    window(-0.5, front, 0.60, 0.5, 0.5, glow, plank, math.pi)
    warm = (1.0, 0.52, 0.18)
    for place, watts in (((0, -front - 0.6, 1.0), 55), ((side + 0.5, 0, 0.85), 26), ((-side - 0.5, 0, 0.85), 26), ((0.5, front + 0.5, 0.85), 26)):
        lamp(CABIN + Vector(place), warm, watts, 0.25)
    box('chimney', (0.55, 0.25, height), (0.95, 0.65, height + 1.75), stone, place=CABIN)
    box('snow on the chimney', (0.53, 0.23, height + 1.75), (0.97, 0.67, height + 1.82), snow, place=CABIN)
    # smoke: each puff rises, swells and thins out; the last is where the next began, so the film closes
    smoke = material('smoke', (0.78, 0.76, 0.82))
    for i in range(8):
        age = (i + 2 * turn) / 8 % 1
        sway = Vector((0.9 * age * age + 0.12 * math.sin(6 * age + i), 0.35 * age * age, 1.95 * age))
        ball('smoke', 0.30 * math.sin(math.pi * min(1, age * 0.93 + 0.07)) ** 0.8, smoke, CABIN + Vector((0.75, 0.45, height + 1.80)) + sway, rounds=2)


def path(stone, iron, glow):
    for i in range(7):
        y = CABIN.y - 1.75 - 0.62 * i
        x = CABIN.x + 0.22 * math.sin(i * 1.3)
        mesh('stone', *lathe([ring(0.24, -0.1, 8, 0.04), ring(0.22, 0.035, 8, 0.03)]), stone, place=(x, y, ground(x, y)))
    for side, y in ((-1, -1.9), (1, -3.3)):
        x = CABIN.x + side * 0.75
        z = ground(x, y)
        box('post', (-0.035, -0.035, -0.1), (0.035, 0.035, 0.80), iron, place=(x, y, z))
        ball('lantern', 0.105, glow, (x, y, z + 0.90))
        mesh('hood', *lathe([ring(0.16, 0.97, 8), [Vector((0, 0, 1.14))]]), iron, place=(x, y, z))
        lamp((x, y - 0.17, z + 0.85), (1.0, 0.55, 0.2), 16, 0.12)


def rocks(stone, snow):
    for _ in range(9):
        a, r = chance.uniform(0, 2 * math.pi), chance.uniform(0.5, 0.86) * ISLAND_RADIUS
        x, y, size = r * math.cos(a), r * math.sin(a), chance.uniform(0.16, 0.38)
        if abs(x - CABIN.x) < 1.0 or (Vector((x, y, 0)) - POND).length < POND_RADIUS:
            continue
        body = [ring(size, -0.1, 7, size * 0.25), ring(size * 0.85, size * 0.5, 7, size * 0.25), ring(size * 0.4, size * 0.85, 7, size * 0.15)]
        mesh('rock', *lathe(body), stone, snow, place=(x, y, ground(x, y)), turn=a, choose=lambda _centre, normal: 1 if normal.z > 0.75 else 0)


def falling_snow(snow, turn):
    drops = random.Random(SEED + 1)
    tall = 9.0
    for _ in range(260):
        x, y, z, times, sway = drops.uniform(-7.5, 7.5), drops.uniform(-7.5, 7.5), drops.uniform(0, tall), drops.choice((1, 2)), drops.uniform(0, 6.28)
        z = (z - turn * times * tall) % tall
        ball('flake', drops.uniform(0.018, 0.034), snow, (x + 0.25 * math.sin(2 * math.pi * turn + sway), y + 0.25 * math.cos(4 * math.pi * turn + sway), z - 2.6), rounds=1)


# ---- light and camera

def sky():
    world = bpy.data.worlds.new('dusk')
    bpy.context.scene.world = world
    world.use_nodes = True
    nodes, links = world.node_tree.nodes, world.node_tree.links
    where, split, ramp = nodes.new('ShaderNodeTexCoord'), nodes.new('ShaderNodeSeparateXYZ'), nodes.new('ShaderNodeValToRGB')
    stretch = nodes.new('ShaderNodeMapRange')
    stretch.inputs['From Min'].default_value, stretch.inputs['From Max'].default_value = -1, 1
    links.new(where.outputs['Generated'], split.inputs[0])
    links.new(split.outputs['Z'], stretch.inputs['Value'])
    links.new(stretch.outputs[0], ramp.inputs['Fac'])
    links.new(ramp.outputs['Color'], nodes['Background'].inputs['Color'])
    stops = ramp.color_ramp.elements
    colours = ((0.00, (0.05, 0.07, 0.16)), (0.33, (0.13, 0.14, 0.30)), (0.44, (0.42, 0.27, 0.40)), (0.495, (0.95, 0.47, 0.32)), (0.56, (0.50, 0.33, 0.48)), (0.68, (0.14, 0.17, 0.40)), (1.00, (0.03, 0.05, 0.16)))
    while len(stops) < len(colours):
        stops.new(0.5)
    for stop, (at, colour) in zip(stops, colours):
        stop.position, stop.color = at, (*colour, 1)
    nodes['Background'].inputs['Strength'].default_value = 0.85
    sun = bpy.data.lights.new('sun', 'SUN')
    sun.color, sun.energy, sun.angle = (1.0, 0.55, 0.36), 1.9, math.radians(4)
    made = bpy.data.objects.new('sun', sun)
    made.rotation_euler = (math.radians(74), 0, math.radians(-62))
    bpy.context.collection.objects.link(made)


def camera(turn):
    lens = bpy.data.cameras.new('camera')
    lens.lens = 41
    made = bpy.data.objects.new('camera', lens)
    a = math.radians(-68) + 2 * math.pi * turn
    made.location = (18.2 * math.cos(a), 18.2 * math.sin(a), 5.6 + 1.2 * math.sin(2 * math.pi * turn))
    made.rotation_euler = (Vector((0, 0, -0.2)) - made.location).to_track_quat('-Z', 'Y').to_euler()
    bpy.context.collection.objects.link(made)
    bpy.context.scene.camera = made


def build(turn):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    snow, rock = material('snow', (0.86, 0.88, 0.93), 0.7), material('rock', (0.20, 0.17, 0.18))
    stone, bark = material('stone', (0.30, 0.29, 0.30)), material('bark', (0.10, 0.055, 0.03))
    wood, plank = material('wood', (0.30, 0.15, 0.065)), material('plank', (0.13, 0.065, 0.03))
    green, iron = material('green', (0.035, 0.11, 0.075)), material('iron', (0.03, 0.03, 0.035), 0.5)
    ice, glow = material('ice', (0.30, 0.42, 0.55), 0.07), material('glow', (1.0, 0.50, 0.14), glow=7)
    island(snow, rock)
    mesh('pond', *lathe([ring(POND_RADIUS, 0.0, 28, 0.06), ring(POND_RADIUS * 0.99, 0.03, 28, 0.0)]), ice, place=POND)
    cabin(wood, plank, stone, snow, glow, turn)
    path(stone, iron, glow)
    rocks(stone, snow)
    forest(green, snow, bark)
    falling_snow(snow, turn)
    sky()
    camera(turn)


# ---- rendering

def tell_progress():
    """Blender's chatter says `Sample 16/64`; of all of it only that leaves, as progress that whoever submitted the job sees."""
    read, write = os.pipe()
    os.dup2(write, 1)

    def listen():
        with os.fdopen(read, errors='replace') as chatter:
            for line in chatter:
                done, _, of = line.rpartition('Sample ')[2].strip().partition('/')
                if done.isdigit() and of.isdigit() and 0 < int(done) <= int(of):
                    os.write(2, f'HEARTH_PROGRESS {int(done) / int(of):.2f} sample {done} of {of}\n'.encode())

    threading.Thread(target=listen, daemon=True).start()


def settings(wanted):
    scene = bpy.context.scene
    render, cycles = scene.render, scene.cycles
    render.engine, cycles.device = 'CYCLES', 'CPU'
    cycles.samples, cycles.seed, cycles.use_adaptive_sampling, cycles.use_denoising = wanted.samples, SEED, False, False
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 4, 2, 2, 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    # rare bright paths are noise, and where hosts round differently they are what differs most
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 2.0, 12.0
    render.threads_mode, render.threads = 'FIXED', wanted.threads
    render.resolution_x, render.resolution_y, render.resolution_percentage = wanted.width, wanted.height, 100
    render.image_settings.file_format, render.image_settings.color_mode, render.image_settings.compression = 'PNG', 'RGB', 60
    # the date and the time that it took would stand in the file
    for stamp in ('date', 'time', 'render_time', 'frame', 'camera', 'scene', 'filename', 'memory', 'hostname'):
        setattr(render, f'use_stamp_{stamp}', False)
    scene.view_settings.view_transform, scene.view_settings.look, scene.view_settings.exposure = 'Filmic', 'Medium High Contrast', 0.55
    render.filepath, render.use_file_extension = os.path.abspath(wanted.out), False


def main():
    reader = argparse.ArgumentParser(prog='scene.py')
    for name, value in (('frame', 0), ('frames', 48), ('width', 480), ('height', 270), ('samples', 64), ('threads', 1)):
        reader.add_argument(f'--{name}', type=int, default=value)
    reader.add_argument('--out', default='frame.png')
    wanted = reader.parse_args(sys.argv[sys.argv.index('--') + 1:] if '--' in sys.argv else [])
    build(wanted.frame % wanted.frames / wanted.frames)
    settings(wanted)
    tell_progress()
    bpy.ops.render.render(write_still=True)


main()
