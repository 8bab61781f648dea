import type { Topic } from './topic.ts'

export const jobTopic: Topic = {
  name: 'job',
  summary: 'how to write a job file',
  title: 'a job file',
  text: `
A job file (YAML or JSON) says what to run, on what, and what counts as right. The shortest one:

  module: hello.wasm

One with most of what there is:

  name: house at dusk
  module: tracer.wasm
  args: [--tile, "{index}", --of, "64"]
  inputs:
    scene.txt: scenes/house.txt
  outputs: [tile.png]
  map: { range: [0, 64] }
  resources: { memory: 512 MiB }
  limits: { run: 5 m, total: 1 h }
  replicas: 3

The program finds its inputs below /in and leaves its results below /out; it sees nothing else of the PC it runs on. map makes many tasks of one job: {index} and {item} in args and env tell them apart. With replicas: 3 each task runs on three computers, and a result counts when two agree.

Paths are relative to the job file. A size or time has a unit ("512 MiB", "90 s"). An unknown key is an error that names the nearest one. \`estimate FILE\` says what a job needs and who could do it before anything is sent.

Every key:`
}
