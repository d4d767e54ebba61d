// How both programs reach the gateway: in clear, or in TLS with a token.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type ChannelCredentials, credentials, Metadata } from "@grpc/grpc-js";

/** The options of both programs, for parseArgs. */
export const OPTIONS = {
  address: { type: "string", default: "127.0.0.1:50051" },
  "tls-ca": { type: "string" }, // file of CA certificates to know the gateway by
  "token-file": { type: "string" }, // file of a bearer token; needs --tls-ca
} as const;

export function channelCredentials(ca?: string, tokenFile?: string): ChannelCredentials {
  if (ca === undefined) {
    if (tokenFile !== undefined) {
      throw new Error("--token-file needs --tls-ca: a token is not sent in clear");
    }
    return credentials.createInsecure();
  }
  const tls = credentials.createSsl(readFileSync(ca));
  if (tokenFile === undefined) return tls;
  // Read anew for each call, so that the file may be replaced.
  const token = credentials.createFromMetadataGenerator((_, callback) => {
    readFile(tokenFile, "utf8").then((text) => {
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${text.trim()}`);
      callback(null, metadata);
    }, callback);
  });
  return credentials.combineChannelCredentials(tls, token);
}
