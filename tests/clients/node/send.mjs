// Sends with Segment's own client, as a service would. Only the host is changed. Fails if the client drops an event.

import { Analytics } from '@segment/analytics-node'

const [host, writeKey, events, learners] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host })

const dropped = []
let delivered = 0
const done = (error) => (error ? dropped.push(error) : delivered++)
const email = 'ada@example.com'

analytics.identify({ userId: 'learner-0', traits: { email } }, done)
analytics.page({ userId: 'learner-0', category: 'Courses', name: 'Limits' }, done)
analytics.screen({ userId: 'learner-0', category: 'Courses', name: 'Limits' }, done)
analytics.group({ userId: 'learner-0', groupId: 'school-1', traits: { name: 'A School' } }, done)
analytics.alias({ userId: 'learner-0', previousId: 'visitor-0' }, done)
analytics.track({ userId: 'learner-0', event: 'Quiz Started', properties: { email } }, done)
for (let number = 0; number < Number(events); number++) {
  const userId = `learner-${number % Number(learners)}`
  analytics.track({ userId, event: 'XP Earned', properties: { xp_amount: 1 } }, done)
}
await analytics.closeAndFlush()

if (dropped.length || delivered !== Number(events) + 6) {
  console.error(`dropped: ${dropped[0]}, ${dropped.length} in all; delivered: ${delivered}`)
  process.exitCode = 1
}
