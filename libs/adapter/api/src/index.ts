export type {
  AttachOptions,
  Attachment,
  Convergence,
  Delivery,
  DeliverySink,
  LatePolicy,
  MeshPort,
  Principal,
  Producer,
  ProtocolAdapter,
  PublishItem,
  PublishOptions,
  Receipt,
  RequestOptions,
  Session,
  SettleOutcome,
  StuckKey,
  SubscriptionStatus,
  SubscriptionWithStatus,
  SubscriptionsPort,
} from './mesh-port.ts';
export type { InspectPort, LedgerLine, SiteView, TopicView, TraceStep } from './inspect-port.ts';
export type {
  DeadLetter,
  DeadLetterGroup,
  DeadLetterSelection,
  DeadLetterStatus,
  DeadLettersPort,
} from './dead-letters-port.ts';
export type { ReplayOptions, ReplayPreview, ReplayStatus, ReplaysPort } from './replays-port.ts';
