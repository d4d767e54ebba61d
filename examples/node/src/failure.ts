// What a call failed with, read out of a status and its details; grpc-js decodes no details.

import { type ServiceError, status } from "@grpc/grpc-js";
import { BadRequest, ErrorInfo, RetryInfo } from "../gen/google/rpc/error_details.js";
import { Status } from "../gen/google/rpc/status.js";

/** docs/errors.md says what each part means. */
export interface Failure {
  code: status;
  message: string;
  /** Empty if the status is from a library and not from the gateway. */
  reason: string;
  metadata: Record<string, string>;
  fields: { field: string; description: string }[];
  /** Undefined if nothing says when to retry. */
  retryAfterMs?: number;
}

export function failureOf(error: ServiceError): Failure {
  const failure: Failure = {
    code: error.code,
    message: error.details,
    reason: "",
    metadata: {},
    fields: [],
  };
  // A call that was never sent has no trailers.
  const [packed] = error.metadata?.get("grpc-status-details-bin") ?? [];
  if (packed === undefined) return failure;
  for (const { typeUrl, value } of Status.decode(packed as Buffer).details) {
    switch (typeUrl) {
      case "type.googleapis.com/google.rpc.ErrorInfo": {
        const info = ErrorInfo.decode(value);
        failure.reason = info.reason;
        failure.metadata = info.metadata;
        break;
      }
      case "type.googleapis.com/google.rpc.BadRequest":
        failure.fields = BadRequest.decode(value).fieldViolations;
        break;
      case "type.googleapis.com/google.rpc.RetryInfo": {
        const delay = RetryInfo.decode(value).retryDelay;
        if (delay !== undefined) failure.retryAfterMs = delay.seconds * 1e3 + delay.nanos / 1e6;
        break;
      }
    }
  }
  return failure;
}

export function told(failure: Failure): string {
  const lines = [`${status[failure.code]}: ${failure.message}`];
  if (failure.reason) lines.push(`reason: ${failure.reason}`);
  for (const it of failure.fields) lines.push(`field ${it.field}: ${it.description}`);
  if (failure.retryAfterMs !== undefined) {
    lines.push(`retry after: ${(failure.retryAfterMs / 1e3).toFixed(3)} s`);
  }
  for (const name of ["outcome", "command_id"]) {
    if (failure.metadata[name]) lines.push(`${name}: ${failure.metadata[name]}`);
  }
  return lines.join("\n  ");
}
