import type { Operations, OperationId, Schemas } from "./types.js";

export type { Operations, OperationId, Schemas } from "./types.js";

export interface PatchbayOptions {
  /** The key; else the variable `PATCHBAY_API_KEY`. */
  apiKey?: string;
  /** The gateway's address; else the variable `PATCHBAY_BASE_URL`. */
  baseURL?: string;
  /** How often a request is sent again where that is safe and of use: 2. */
  maxRetries?: number;
  /** How long an answer's head may take, in milliseconds: 600,000. */
  timeoutMs?: number;
  /** Headers of every request. */
  headers?: Record<string, string>;
  fetch?: typeof globalThis.fetch;
}

export interface RequestOptions {
  headers?: Record<string, string>;
  /** The client's name for this request: at most one of that name is carried out. */
  idempotencyKey?: string;
  signal?: AbortSignal;
  maxRetries?: number;
  timeoutMs?: number;
}

export interface ExecuteOptions extends RequestOptions {
  /** Asked about what has to be confirmed first. */
  onConfirm?(confirmation: Schemas["ToolConfirmation"], envelope: Schemas["Execution"]): boolean | Promise<boolean>;
}

export interface RunOptions extends RequestOptions {
  /** Tokens of confirmations, by the id of the call. */
  confirmations?: Record<string, string>;
  confirm?: Schemas["ToolRunRequest"]["confirm"];
  /** Functions that are not the gateway's are left to the client. */
  skip_unknown?: boolean;
}

type Body<K extends OperationId> = Operations[K]["body"];
type Answer<K extends OperationId> = Operations[K]["response"];
type Create<K extends OperationId> = {
  create(body: Body<K> & { stream: true }, options?: RequestOptions): AsyncGenerator<Operations[K]["event"], void, undefined>;
  create(body: Body<K>, options?: RequestOptions): Promise<Answer<K>>;
};

export declare class Patchbay {
  constructor(options?: PatchbayOptions);
  readonly baseURL: string;
  readonly maxRetries: number;
  readonly timeoutMs: number;
  chat: { completions: Create<"postChatCompletions"> };
  responses: Create<"postResponses">;
  messages: Create<"postMessages">;
  embeddings: { create(body: Body<"postEmbeddings">, options?: RequestOptions): Promise<Answer<"postEmbeddings">> };
  models: {
    list(query?: Operations["getModels"]["query"], options?: RequestOptions): Promise<Answer<"getModels">>;
    get(id: string, options?: RequestOptions): Promise<Answer<"getModelByAuthorBySlug">>;
  };
  tools: Tools;
  call<K extends OperationId>(
    operation: K,
    options?: RequestOptions & { path?: Operations[K]["path"]; query?: Operations[K]["query"]; body?: Body<K> },
  ): Promise<Answer<K>>;
  stream<K extends OperationId>(
    operation: K,
    options?: RequestOptions & { path?: Operations[K]["path"]; query?: Operations[K]["query"]; body?: Body<K> },
  ): AsyncGenerator<Operations[K]["event"], void, undefined>;
  request(method: string, path: string, options?: RequestOptions & { body?: unknown }): Promise<Response>;
}

export declare class Tools {
  list(query?: Operations["getTools"]["query"], options?: RequestOptions): Promise<Answer<"getTools">>;
  categories(options?: RequestOptions): Promise<Answer<"getToolsCategories">>;
  get(id: string, options?: RequestOptions): Promise<Answer<"getToolsByProviderByOperation">>;
  execute(body: Body<"postToolsExecute">, options?: ExecuteOptions): Promise<Schemas["Execution"]>;
  confirm(body: Body<"postToolsExecute">, envelope: Schemas["Execution"], options?: ExecuteOptions): Promise<Schemas["Execution"]>;
  run(answer: object, options?: RunOptions): Promise<Answer<"postToolsRun">>;
  execution(id: string, options?: RequestOptions): Promise<Schemas["Execution"]>;
}

export declare class PatchbayError extends Error {
  readonly status?: number;
  readonly code?: string;
  readonly type?: string;
  readonly param?: string;
  readonly metadata?: unknown;
  readonly requestId?: string;
  readonly generationId?: string;
  /** Seconds. */
  readonly retryAfter?: number;
  readonly body?: any;
}
export declare class InvalidRequestError extends PatchbayError {}
export declare class AuthenticationError extends PatchbayError {}
export declare class PaymentRequiredError extends PatchbayError {}
export declare class PermissionError extends PatchbayError {}
export declare class NotFoundError extends PatchbayError {}
export declare class ConflictError extends PatchbayError {}
export declare class OutcomeUnknownError extends PatchbayError {}
export declare class RateLimitError extends PatchbayError {}
export declare class ServerError extends PatchbayError {}
export declare class ConnectionError extends PatchbayError {}

export default Patchbay;
