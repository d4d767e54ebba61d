// Speak a text in a conference: one command, with what every command should have.
//
//	node dist/src/speak.js [options] CONFERENCE TEXT

import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { ConferenceServiceClient } from "../gen/conferencing/v1/conference_service.js";
import {
  SpeakTextRequest,
  type SpeakTextResponse,
} from "../gen/conferencing/v1/conference_service.js";
import { channelCredentials, OPTIONS } from "./connecting.js";
import { failureOf, told } from "./failure.js";

// For all attempts together.
const DEADLINE_MS = 10_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    ...OPTIONS,
    // It retries commands too, which is harmless because this program sets a command_id.
    "service-config": {
      type: "string",
      default: "../../docs/service-config/commands-with-ids.json",
    },
  },
});

async function main(): Promise<void> {
  const [conferenceId, payload] = positionals;
  if (conferenceId === undefined || payload === undefined) {
    throw new Error("usage: speak.js [options] CONFERENCE TEXT");
  }
  const client = new ConferenceServiceClient(
    values.address,
    channelCredentials(values["tls-ca"], values["token-file"]),
    { "grpc.service_config": readFileSync(values["service-config"], "utf8") },
  );
  const request = SpeakTextRequest.fromPartial({
    conferenceId,
    payload,
    voice: "female",
    commandId: randomUUID(),
  });
  const response = await new Promise<SpeakTextResponse>((resolve, reject) => {
    const deadline = Date.now() + DEADLINE_MS;
    client.speakText(request, new Metadata(), { deadline }, (error, response) =>
      error ? reject(error) : resolve(response),
    );
  }).finally(() => client.close());
  const { commandId, cursor } = response.receipt!;
  console.log(`spoken: command_id ${commandId}, effects after cursor ${cursor}`);
}

main().catch((error: Error | ServiceError) => {
  console.error("code" in error && "details" in error ? told(failureOf(error)) : error.message);
  process.exitCode = 1;
});
