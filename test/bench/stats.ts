/** Order statistics of a sample: `at` 0.5 is the median. */
export function quantile(values: readonly number[], at: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(at * sorted.length))] ?? Number.NaN
}

export function row(name: string, value: string, note = ''): void {
  console.log(`  ${name.padEnd(52)}${value.padStart(12)}  ${note}`)
}

/** User and system time of a process and its threads so far, in ms; children that it waited for are not in it. Linux. */
export function cpuMs(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}
