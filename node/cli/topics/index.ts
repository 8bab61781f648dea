import { configTopic } from './config.ts'
import { errorsTopic } from './errors.ts'
import { jobTopic } from './job.ts'
import { jsonTopic } from './json.ts'
import { moneyTopic } from './money.ts'
import { networkTopic } from './network.ts'
import { replTopic } from './repl.ts'
import { resultsTopic } from './results.ts'
import { safetyTopic } from './safety.ts'
import { shareTopic } from './share.ts'
import { whyTopic } from './why.ts'
import type { Topic } from './topic.ts'

export const TOPICS: readonly Topic[] = [jobTopic, resultsTopic, whyTopic, shareTopic, moneyTopic, safetyTopic, networkTopic, configTopic, replTopic, jsonTopic, errorsTopic]
