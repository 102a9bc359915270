/**
 * The generated code of proto/, one door per package: `@eventmesh/proto-gen/store` and so on.
 * This root lists the files, for reflection and for tests that hold twins to their originals.
 */
export { file_eventmesh_acl_v1_acl } from './generated/eventmesh/acl/v1/acl_pb.ts';
export { file_eventmesh_event_v1_event } from './generated/eventmesh/event/v1/event_pb.ts';
export { file_eventmesh_governance_v1_governance } from './generated/eventmesh/governance/v1/governance_pb.ts';
export { file_eventmesh_link_v1_link } from './generated/eventmesh/link/v1/link_pb.ts';
export { file_eventmesh_peer_v1_peer } from './generated/eventmesh/peer/v1/peer_pb.ts';
export { file_eventmesh_publisher_v1_publisher } from './generated/eventmesh/publisher/v1/publisher_pb.ts';
export { file_eventmesh_registry_v1_registry } from './generated/eventmesh/registry/v1/registry_pb.ts';
export { file_eventmesh_store_v1_store } from './generated/eventmesh/store/v1/store_pb.ts';
export { file_eventmesh_subscriber_v1_subscriber } from './generated/eventmesh/subscriber/v1/subscriber_pb.ts';
export { file_eventmesh_wire_v1_wire } from './generated/eventmesh/wire/v1/wire_pb.ts';
