import type { Topic } from './topic.ts'

export const errorsTopic: Topic = {
  name: 'errors',
  summary: 'what error codes mean',
  title: 'errors',
  text: `
Every error has a code that stays the same, a sentence and a hint. \`help CODE\` says what a code's family means.`
}

/** What the codes of one beginning have in common. */
export interface ErrorFamily { prefix: string, means: string }

/** Longest prefix first wins. */
export const ERROR_FAMILIES: readonly ErrorFamily[] = [
  { prefix: 'E_NODE_', means: 'The node itself: not started, started twice, or gone' },
  { prefix: 'E_API_', means: 'The local socket between a program and the node' },
  { prefix: 'E_COMMAND', means: 'There is no such command' },
  { prefix: 'E_OPTION', means: 'An option of a command is unknown, or its value does not fit' },
  { prefix: 'E_ARGUMENT', means: 'A word of a command is missing, too many, or does not fit' },
  { prefix: 'E_ID_', means: 'The id of a job or peer is malformed, or begins more than one' },
  { prefix: 'E_FILE_', means: 'A file or folder on this PC is missing or of the wrong kind' },
  { prefix: 'E_UNIT', means: 'A size or duration lacks its unit, or is no number' },
  { prefix: 'E_JOB_', means: 'A job file has a fault, or a job could not do what was asked' },
  { prefix: 'E_CONFIG', means: 'The configuration has a fault; the message names the key' },
  { prefix: 'E_SHARE', means: 'A value of `share` does not fit' },
  { prefix: 'E_FIT_', means: 'A job does not fit that PC: the code names what is lacking' },
  { prefix: 'E_HOST_', means: 'The owner of that PC does not lend now, or not to you' },
  { prefix: 'E_MODULE_', means: 'The WebAssembly module is malformed, or uses what no host runs' },
  { prefix: 'E_SANDBOX_', means: 'The run was ended by its limits, or could not be started' },
  { prefix: 'E_AGREEMENT_', means: 'Requester and provider did not come to an agreement' },
  { prefix: 'E_DOCUMENT_', means: 'A document from a peer is malformed: it is ignored' },
  { prefix: 'E_FRAME_', means: 'A peer broke the protocol: the stream was closed' },
  { prefix: 'E_STREAM_', means: 'A stream to a peer could not be opened, or broke' },
  { prefix: 'E_WIRE_', means: 'A stream to a peer was given up' },
  { prefix: 'E_KEY_', means: 'The node\'s key file or its passphrase' },
  { prefix: 'E_STORE_', means: 'The node\'s store on disk' },
  { prefix: 'E_PEER', means: 'A peer is not known or not connected' },
  { prefix: 'E_INTERNAL', means: 'A defect of Hearth: please report it' },
  { prefix: 'E_INVARIANT', means: 'A defect of Hearth: please report it' }
]
