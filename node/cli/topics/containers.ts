import type { Topic } from './topic.ts'

export const containersTopic: Topic = {
  name: 'containers',
  summary: 'jobs in containers: images, secrets, network, graphics cards',
  title: 'jobs in containers',
  text: `
A job with \`image\` instead of \`module\` runs in a container, on hosts that have Docker or Podman. It finds its inputs below /in, writes results below /out, and may write /tmp; the rest of its file system is read-only. It runs as a user of its own, without rights, on a share of the processor, with its memory and its processes bounded. Which user is not the same on every host: a job that writes archives should name their owners (tar --owner=0 --group=0 --numeric-owner --mtime=@0 --sort=name), or no two hosts give the same bytes.

\`image\` is name@sha256:…, which each host pulls, or the path of an archive (docker save, or the tar of a root file system), which hosts fetch from you. A name without digest is refused: it may be another image tomorrow.

\`secrets\` are files that only the host of a lease gets, when the run begins; they lie at /run/secrets/NAME in memory. Whoever runs your job can read them: give a job a key of its own.

\`network: { allow: [example.org] }\` reaches these domains over HTTPS, through the host's proxy, which programs find in HTTPS_PROXY. Nothing else is reachable, the host's own network least.

\`resources: { gpu: { vendor: nvidia, vram: "8 GiB" } }\` asks for whole graphics cards. While their owner uses them, a run waits for a minute, then moves.

A line "HEARTH_PROGRESS 0.42 words" on standard error shows as progress.

For hosts: \`doctor\` says what the engine and cards lack, \`images\` what is cached. Only images on your lists run: \`share images=…\` by digest or CID, \`share imageSigners=…\` whoever signs them (\`images sign\`), \`share anyImage=on\` all. \`share containerNetwork=on\` lends your line, \`share gpus=on\` your cards, \`share engines=wasm\` lends no containers at all.`
}
