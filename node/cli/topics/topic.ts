/** A text of `help TOPIC`. Lines that begin with two spaces are shown as they are; the others are wrapped. */
export interface Topic {
  name: string
  /** For the list of topics. */
  summary: string
  title: string
  text: string
}
