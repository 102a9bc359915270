export { HistoryChecker, checkHistory, type CheckOptions } from './history-checker.ts';
export { HistoryWriter, readHistory } from './history-file.ts';
export { hashEvent } from './hash-event.ts';
export {
  parseHistoryLine,
  type AccountLine,
  type DetachLine,
  type HistoryLine,
  type ReceiveLine,
  type SendEndLine,
  type SendLine,
  type SettleLine,
  type SubscribeLine,
  type UnsubscribeLine,
} from './history.ts';
export {
  DEFECTS,
  reportText,
  type CheckReport,
  type Defect,
  type DefectReport,
  type Finding,
  type SubscriptionReport,
} from './report.ts';
