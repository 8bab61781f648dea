// A brass orrery on a dark table: planets go round a glowing sun. Frame and Frames come from the command line.
#version 3.7;
global_settings { assumed_gamma 1.0 max_trace_level 6 }

#ifndef (Frame) #declare Frame = 0; #end
#ifndef (Frames) #declare Frames = 6; #end
#declare Turn = Frame / Frames;

camera {
  location <0, 3.4, -7.2>
  look_at <0, 0.75, 0>
  right x * image_width / image_height
  angle 42
}

light_source { <-6, 9, -6> rgb <0.50, 0.55, 0.70> area_light <2, 0, 0>, <0, 0, 2>, 3, 3 adaptive 0 }
light_source { <0, 1.2, 0> rgb <1.5, 1.15, 0.7> fade_distance 2.2 fade_power 2 looks_like {
  sphere { 0, 0.42 pigment { rgb <1.0, 0.75, 0.35> } finish { ambient 0 diffuse 0 emission 1.6 } }
} }

#declare Brass = texture {
  pigment { rgb <0.80, 0.55, 0.22> }
  finish { ambient 0.04 diffuse 0.45 specular 0.8 roughness 0.02 metallic reflection { 0.25 metallic } }
}

// the table, and the dark of the room
plane { y, 0
  pigment { wood turbulence 0.04 octaves 2 rotate 88 * y rotate 3 * z scale 0.9 color_map { [0 rgb <0.14, 0.07, 0.04>] [1 rgb <0.24, 0.12, 0.06>] } }
  finish { ambient 0.02 diffuse 0.7 reflection { 0.02, 0.25 } }
}
sky_sphere { pigment { gradient y color_map { [0 rgb <0.05, 0.05, 0.10>] [0.5 rgb <0.01, 0.01, 0.03>] } } }

union {
  cone { 0, 0.75, 0.16 * y, 0.55 }
  cylinder { 0, 0.9 * y, 0.09 }
  sphere { 0.16 * y, 0.16 }
  texture { Brass }
}

// a planet on its arm: distance, size, height, speed in whole turns so that the film closes, where it begins
#macro Planet(Distance, Size, Height, Speed, Start, Look)
  union {
    cylinder { <0, Height, 0>, <Distance, Height, 0>, 0.022 texture { Brass } }
    cylinder { <Distance, Height, 0>, <Distance, 1.2, 0>, 0.022 texture { Brass } }
    sphere { 0, Size texture { Look } rotate 360 * 2 * Turn * y translate <Distance, 1.2, 0> }
    rotate -360 * (Speed * Turn + Start) * y
  }
  torus { Distance, 0.008 translate 0.012 * y texture { Brass } }
#end

#declare Shine = finish { ambient 0.02 diffuse 0.75 specular 0.5 roughness 0.01 reflection 0.06 }
Planet(0.95, 0.13, 0.78, 3, 0.10, texture { pigment { granite scale 0.4 color_map { [0 rgb <0.75, 0.45, 0.30>] [1 rgb <0.35, 0.18, 0.12>] } } finish { Shine } })
Planet(1.55, 0.21, 0.68, 2, 0.55, texture { pigment { bozo turbulence 0.6 scale 0.16 color_map { [0.45 rgb <0.05, 0.20, 0.55>] [0.5 rgb <0.15, 0.50, 0.20>] [0.8 rgb <0.9, 0.95, 1>] } } finish { Shine } })
Planet(2.35, 0.36, 0.58, 1, 0.86, texture { pigment { gradient y turbulence 0.12 scale 0.3 color_map { [0 rgb <0.85, 0.65, 0.45>] [0.5 rgb <0.60, 0.35, 0.22>] [1 rgb <0.90, 0.80, 0.65>] } } finish { Shine } })
Planet(3.15, 0.26, 0.48, 1, 0.32, texture { pigment { rgb <0.25, 0.60, 0.70> } finish { Shine } })
