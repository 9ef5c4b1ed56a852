// Generated from openapi.json by `npm run clients`.

export interface Schemas {
  /** A citation. */
  Annotation: { type: string };
  Architecture: { modality: string; input_modalities: Array<Schemas["Modality"]>; output_modalities: Array<Schemas["Modality"]>; tokenizer: string; instruct_type: string | null };
  Belief: { tool: string; category: string; success: { mean: number; interval: Array<number>; effective_n: number }; observations: Schemas["BeliefCounts"]; errors: Record<string, number>; latency: { p50: Schemas["BeliefLatency"] | null; p90: Schemas["BeliefLatency"] | null; p99: Schemas["BeliefLatency"] | null }; mean_cost: number | null; last_seen: string; resting_until: string | null; own: { observations: Schemas["BeliefCounts"]; errors: Record<string, number>; last_seen: string } | null };
  BeliefCounts: { succeeded: number; failed: number; rate_limited: number; neither: number; beyond_share?: number; reported_good?: number; reported_bad?: number };
  BeliefLatency: { ms: number; at_least?: boolean };
  Beliefs: { data: Array<Schemas["Belief"]>; champions: Array<{ champion: string; confidence: number; super_category: string; sub_category: string | null; observation_count: number }>; rule: string; constants: Record<string, number>; gathered_at: string | null };
  CacheControl: { type: "ephemeral"; ttl?: "5m" | "1h" | null };
  /** Tools of the catalog that the gateway runs inside a conversation: one by its name (`provider/operation`, or a capability), or all that fit. */
  CatalogTool: { type: "patchbay:tool"; name: string; confirm?: Schemas["ConfirmPolicy"] | null; max_calls?: number | null } | { type: "patchbay:tools"; names?: Array<string> | null; category?: string | null; provider?: string | null; capability?: string | null; effect?: Schemas["ExecutionEffect"] | null; meta?: boolean | null; confirm?: Schemas["ConfirmPolicy"] | null; max_calls?: number | null };
  Charge: Record<string, any>;
  /** What the model said before. `reasoning_details` go back as they came, unchanged. */
  ChatAssistantMessage: { role: "assistant"; content?: string | Array<Schemas["ChatTextPart"] | Schemas["ChatRefusalPart"]> | null; name?: string | null; refusal?: string | null; reasoning?: string | null; reasoning_content?: string | null; reasoning_details?: Array<Schemas["ReasoningDetail"]> | null; images?: Array<Schemas["ChatImagePart"]> | null; tool_calls?: Array<Schemas["ChatToolCall"]> | null; cache_control?: Schemas["CacheControl"] | null };
  ChatAudioPart: { type: "input_audio"; input_audio: { data: string; format: string } };
  ChatChoice: { index: number; logprobs?: Record<string, any> | null; finish_reason: Schemas["FinishReason"] | null; native_finish_reason?: string | null; message: { role: "assistant"; content?: string | null; refusal?: string | null; reasoning?: string | null; reasoning_details?: Array<Schemas["ReasoningDetail"]>; tool_calls?: Array<Schemas["ChatToolCall"]>; images?: Array<Schemas["ChatImagePart"]>; audio?: Record<string, any>; annotations?: Array<Schemas["Annotation"]> }; error?: any };
  /** One event of a stream. The last one has the usage; `[DONE]` follows it. */
  ChatChunk: { id: string; object: "chat.completion.chunk"; created: number; model: string; provider: string; system_fingerprint?: string | null; service_tier?: string | null; choices: Array<{ index: number; delta: { role?: "assistant"; content?: string | null; refusal?: string | null; reasoning?: string | null; reasoning_details?: Array<Schemas["ReasoningDetail"]>; tool_calls?: Array<{ index: number; id?: string; type?: "function"; function: { name?: string; arguments?: string } }>; images?: Array<Schemas["ChatImagePart"]>; audio?: Record<string, any>; annotations?: Array<Schemas["Annotation"]> }; logprobs?: Record<string, any> | null; finish_reason?: Schemas["FinishReason"] | null; native_finish_reason?: string | null }>; usage?: Schemas["ChatUsage"]; error?: any; openrouter_metadata?: Schemas["RoutingMetadata"] };
  ChatCompletion: { id: string; object: "chat.completion"; created: number; model: string; provider: string; system_fingerprint?: string | null; service_tier?: string | null; choices: Array<Schemas["ChatChoice"]>; usage: Schemas["ChatUsage"]; openrouter_metadata?: Schemas["RoutingMetadata"] };
  ChatContentPart: Schemas["ChatTextPart"] | Schemas["ChatImagePart"] | Schemas["ChatFilePart"] | Schemas["ChatAudioPart"] | Schemas["ChatVideoPart"];
  ChatFilePart: { type: "file"; file: { filename?: string | null; file_data: Schemas["MediaUrl"] } | { filename?: string | null; file_id: string }; cache_control?: Schemas["CacheControl"] | null };
  ChatFunction: { name: string; description?: string | null; parameters?: Schemas["JsonSchema"] | null; strict?: boolean | null };
  ChatImagePart: { type: "image_url"; image_url: Schemas["MediaUrl"] | { url: Schemas["MediaUrl"]; detail?: string | null }; cache_control?: Schemas["CacheControl"] | null };
  ChatInstruction: { role: "system" | "developer"; content: string | Array<Schemas["ChatTextPart"]>; name?: string | null; cache_control?: Schemas["CacheControl"] | null };
  ChatMessage: Schemas["ChatInstruction"] | Schemas["ChatUserMessage"] | Schemas["ChatAssistantMessage"] | Schemas["ChatToolMessage"];
  ChatRefusalPart: { type: "refusal"; refusal: string };
  /** A chat completion as it is asked for. Fields that are not named here go on to the provider. */
  ChatRequest: { model?: string | null; models?: Array<string> | null; messages?: Array<Schemas["ChatMessage"]> | null; prompt?: string | null; stream?: boolean | null; stream_options?: { include_usage?: boolean | null } | null; temperature?: number | null; top_p?: number | null; top_k?: number | null; min_p?: number | null; top_a?: number | null; frequency_penalty?: number | null; presence_penalty?: number | null; repetition_penalty?: number | null; seed?: number | null; max_tokens?: number | null; max_completion_tokens?: number | null; stop?: string | Array<string> | null; tools?: Array<Schemas["ChatTool"]> | null; tool_choice?: "auto" | "none" | "required" | { type: "function"; function: { name: string } } | { type: Schemas["ServerToolWord"] } | null; parallel_tool_calls?: boolean | null; response_format?: Schemas["ResponseFormat"] | null; reasoning?: Schemas["Reasoning"] | null; reasoning_effort?: Schemas["Effort"] | null; include_reasoning?: boolean | null; cache_control?: Schemas["CacheControl"] | null; n?: number | null; logprobs?: boolean | null; top_logprobs?: number | null; logit_bias?: Record<string, number> | null; prediction?: any; modalities?: Array<"text" | "image" | "audio"> | null; audio?: Record<string, any> | null; web_search_options?: Record<string, any> | null; service_tier?: string | null; verbosity?: "low" | "medium" | "high" | "xhigh" | "max" | null; user?: string | null; session_id?: string | null; prompt_cache_key?: string | null; metadata?: Schemas["Metadata"] | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; transforms?: Array<string> | null; plugins?: Array<{ id: string }> | null };
  ChatTextPart: { type: "text"; text: string; cache_control?: Schemas["CacheControl"] | null; prompt_cache_breakpoint?: Record<string, any> | null };
  ChatTool: { type: "function"; function: Schemas["ChatFunction"]; cache_control?: Schemas["CacheControl"] | null } | { type: Schemas["ServerToolWord"]; parameters?: Record<string, any> | null } | Schemas["CatalogTool"];
  ChatToolCall: { id: string; type?: "function"; index?: number; function: { name: string; arguments?: string } };
  ChatToolMessage: { role: "tool"; tool_call_id: string; content: string | Array<Schemas["ChatContentPart"]>; name?: string | null; cache_control?: Schemas["CacheControl"] | null };
  ChatUsage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; cost: number; is_byok: boolean; prompt_tokens_details: { cached_tokens: number; cache_write_tokens: number; audio_tokens: number }; cost_details: Schemas["CostDetails"]; completion_tokens_details: { reasoning_tokens: number; image_tokens: number; audio_tokens: number }; server_tool_use?: Schemas["ServerToolUse"]; server_tool_use_details?: Schemas["ServerToolUse"]; parts?: Array<Schemas["UsagePart"]> };
  ChatUserMessage: { role: "user"; content: string | Array<Schemas["ChatContentPart"]>; name?: string | null; cache_control?: Schemas["CacheControl"] | null };
  ChatVideoPart: { type: "video_url"; video_url: Schemas["MediaUrl"] | { url: Schemas["MediaUrl"]; detail?: string | null } } | { type: "input_video"; input_video: Schemas["MediaUrl"] | { url: Schemas["MediaUrl"]; detail?: string | null } };
  Completion: { id: string; object: "text_completion"; created: number; model: string; provider: string; system_fingerprint?: string | null; choices: Array<{ text: string; index: number; logprobs: Record<string, any> | null; finish_reason: Schemas["FinishReason"] | null; native_finish_reason?: string | null; reasoning?: string | null }>; usage?: Schemas["ChatUsage"]; error?: any; openrouter_metadata?: Schemas["RoutingMetadata"] };
  /** A text completion as it is asked for: the fields of a chat completion, with a prompt in the place of messages. */
  CompletionRequest: { model?: string | null; models?: Array<string> | null; prompt: string | Array<string>; suffix?: string; echo?: boolean; best_of?: number; stream?: boolean | null; max_tokens?: number | null; temperature?: number | null; top_p?: number | null; top_k?: number | null; frequency_penalty?: number | null; presence_penalty?: number | null; repetition_penalty?: number | null; seed?: number | null; stop?: string | Array<string> | null; n?: number | null; logprobs?: number | boolean | null; logit_bias?: Record<string, number> | null; user?: string | null; session_id?: string | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any };
  ConfirmPolicy: "never" | "destructive" | "writes" | "always";
  /** What was asked and answered, where the account keeps it. */
  Content: { input: any; output: any; error: any; input_truncated: boolean; output_truncated: boolean };
  /** What an answer cost in detail. */
  CostDetails: { upstream_inference_cost: number; upstream_inference_prompt_cost?: number; upstream_inference_completions_cost?: number; cache_discount?: number; hedge_cost?: number; server_tool_cost?: number; tool_executions_cost?: number };
  Credits: { total_credits: number; total_usage: number };
  /** Dollars as an exact decimal number, or the same as text. */
  Dollars: number | string;
  /** How hard to think, weakest first. */
  Effort: "none" | "minimal" | "low" | "medium" | "high" | "xhigh" | "max";
  Embeddings: { id: string; object: "list"; model: string; provider: string; data: Array<{ object: "embedding"; index: number; embedding: Array<number> | string }>; usage: { prompt_tokens: number; total_tokens: number; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"] }; openrouter_metadata?: Schemas["RoutingMetadata"] };
  EmbeddingsPart: { type: "text" | "input_text"; text: string } | { type: "image_url"; image_url: string | { url: string } } | { type: "input_image"; input_image: string | { url: string } } | { type: "input_video"; input_video: string | { url: string } } | { type: "input_file"; input_file: string | { url: string } } | { type: "input_audio"; input_audio: { data: string; format: string } };
  EmbeddingsRequest: { model?: string | null; models?: Array<string> | null; input: string | Array<number> | Array<string | Array<number> | { content: Array<Schemas["EmbeddingsPart"]> }>; dimensions?: number | null; encoding_format?: "float" | "base64" | null; input_type?: string | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; user?: string | null; session_id?: string | null };
  Endpoint: { name: string; model_id: string; model_name: string; provider_name: string; tag: string; context_length: number; max_prompt_tokens: number | null; max_completion_tokens: number | null; quantization: Schemas["Quantization"] | null; pricing: Schemas["Pricing"]; supported_parameters: Array<string>; supports_implicit_caching: boolean; supports_tool_choice: { auto: boolean; none: boolean; required: boolean; function: boolean }; native_tools: Record<string, any>; service_tier: string | null; status: number; uptime_last_5m: number | null; uptime_last_30m: number | null; uptime_last_1d: number | null; latency_last_30m: Schemas["Measured"] | null; throughput_last_30m: Schemas["Measured"] | null; supports_diarization: boolean };
  /** One execution of a tool. */
  ExecuteRequest: { tool?: string | null; intent?: string | null; input?: Record<string, any> | null; provider?: string | Schemas["ProviderWish"] | null; confirmation?: string | null; confirm?: Schemas["ConfirmPolicy"] | null; dry_run?: boolean | null; idempotency_key?: string | null };
  /** The envelope of every execution. */
  Execution: { id: string; tool: string; provider: string; status: Schemas["ExecutionStatus"]; data?: any; result?: any; warnings?: Array<Schemas["ToolWarning"]>; usage: { cost: number; balance_remaining?: number; latency_ms: number; units?: number; byok: boolean }; error?: Schemas["ExecutionError"]; replayed?: boolean; confirmation?: Schemas["ToolConfirmation"]; next?: any; undo?: Schemas["ToolUndo"]; routing?: any; steps?: Array<any>; attribution?: string };
  ExecutionEffect: "read" | "write" | "destructive" | "money";
  ExecutionEntry: { id: string; tool: string; effect: Schemas["ExecutionEffect"]; status: Schemas["ExecutionState"]; created_at: string; ended_at: string | null; cost: number; key_hash: string; idempotency_key: string | null; parent: string | null; surface: string };
  ExecutionError: { code: string; class: string; message: string; param?: string; provider_status?: number; provider_code?: string; retry_after?: number; details?: any };
  ExecutionState: "sent" | "running" | "succeeded" | "failed" | "failed_clean" | "outcome_unknown" | "unknown" | "cancelled";
  ExecutionStatus: "succeeded" | "failed" | "outcome_unknown" | "running" | "confirmation_required" | "cancelled" | "dry_run" | "compensated" | "partially_compensated" | "compensation_failed";
  FinishReason: "stop" | "length" | "tool_calls" | "content_filter" | "error";
  /** What is on record of a request. */
  Generation: { id: string; request_id: string | null; upstream_id: string | null; created_at: string; model: string | null; provider_name: string | null; router: string | null; preset_id: string | null; session_id: string | null; external_user: string | null; app_id: any; origin: string; http_referer: string | null; app_title: string | null; user_agent: string | null; api_type: string; streamed: boolean; cancelled: boolean; status: string; finish_reason: string | null; native_finish_reason: string | null; tokens_prompt: number; tokens_completion: number; native_tokens_prompt: number; native_tokens_completion: number; native_tokens_reasoning: number; native_tokens_cached: number; native_tokens_cache_write: number; native_tokens_completion_images: number; usage_estimated: boolean; latency: number | null; generation_time: number | null; is_byok: boolean; error: any; charge: Schemas["Charge"] | null; corrections: Array<{ change: string; reason: string; at: string }>; num_search_results: number | null; num_web_searches: number | null; num_fetches: number | null; response_cache_source_id: string | null; guardrails: Record<string, { flag?: number; redact?: number }>; provider_responses: Array<Schemas["ProviderResponse"]>; service_tier: string | null; total_cost: number; usage: number; cache_discount: number | null; upstream_inference_cost: number | null; api_key_id?: any; creator_user_id?: string | null; workspace_id?: string | null; surface?: string | null; data_region?: string | null; cost_explained?: any };
  ImageEndpoint: { provider_name: string; provider_slug: string; provider_tag: string; supported_parameters: Record<string, Schemas["ImageParameter"]>; allowed_passthrough_parameters: Array<string>; supports_streaming: boolean; pricing: Array<Schemas["UnitPrice"]> };
  ImageModel: { id: string; name: string; created: number; description: string | null; architecture: { input_modalities: Array<Schemas["Modality"]>; output_modalities: Array<Schemas["Modality"]> }; supported_parameters: Record<string, Schemas["ImageParameter"]>; supports_streaming: boolean; endpoints: string };
  /** What an endpoint takes in one field. */
  ImageParameter: { type: "enum" | "range" | "integer" | "boolean" | "array" | "unknown"; values?: Array<string>; min?: number; max?: number };
  Images: { id: string; created: number; model: string; provider: string; data: Array<{ b64_json?: string; url?: string; media_type?: string }>; usage: Schemas["ImagesUsage"]; openrouter_metadata?: Schemas["RoutingMetadata"] };
  ImagesEvent: { type: "image_generation.partial_image" | "image_generation.completed" | "error"; b64_json?: string; url?: string; media_type?: string; partial_image_index?: number; created_at?: number; usage?: Schemas["ImagesUsage"] };
  ImagesRequest: { model?: string | null; models?: Array<string> | null; prompt: string; n?: number | null; size?: string | null; resolution?: "auto" | "512" | "768" | "1K" | "1.5K" | "2K" | "4K" | null; aspect_ratio?: string | null; quality?: "auto" | "low" | "medium" | "high" | "xhigh" | "max" | "standard" | "hd" | null; background?: "auto" | "transparent" | "opaque" | null; output_format?: "png" | "jpeg" | "jpg" | "webp" | "svg" | null; output_compression?: number | null; input_references?: Array<{ image_url: Schemas["MediaUrl"] | { url: Schemas["MediaUrl"] } }> | null; seed?: number | null; stream?: boolean | null; partial_images?: number | null; response_format?: "b64_json" | "url" | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; user?: string | null; session_id?: string | null };
  ImagesUsage: { prompt_tokens: number; completion_tokens: number; total_tokens: number; input_tokens?: number; output_tokens?: number; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"]; completion_tokens_details: { image_tokens: number } };
  /** A JSON Schema. */
  JsonSchema: Record<string, any>;
  /** A budget that a key is under. */
  KeyBudget: { budget_id: string; guardrail_id: string | null; scope: "workspace" | "workspace_default_key" | "workspace_default_member" | "api_key" | "member" | "key_limit"; limit_usd: number; spend_usd: number; remaining_usd: number; reset_interval: Schemas["Reset"] | null; resets_at: string | null; include_byok: boolean };
  /** The key that asks, with all that bounds it. */
  KeyState: { hash: string; name: string; label: string; disabled: boolean; limit: number | null; limit_remaining: number | null; limit_reset: Schemas["Reset"] | null; usage: number; usage_daily: number; usage_weekly: number; usage_monthly: number; byok_usage: number; byok_usage_daily: number; byok_usage_weekly: number; byok_usage_monthly: number; include_byok_in_limit: boolean; requests_per_minute: Schemas["Pace"]; tokens_per_minute: Schemas["Pace"]; concurrent_requests: Schemas["Pace"]; is_management_key: boolean; is_provisioning_key: boolean; creator_user_id: string | null; external_user: string | null; external_api_key: string | null; workspace_id: string; created_at: string; updated_at: string; last_used_at: string | null; expires_at: string | null; is_free_tier: boolean; organization_id: string | null; allowed_data_regions: Array<string>; free_model_daily_requests: { used: number; limit: number | null; remaining: number | null }; rate_limit: { requests: number; interval: string; note: string; tokens_per_minute: number | null; concurrent_requests: number | null }; budgets: Array<Schemas["KeyBudget"]>; effective_budget: Schemas["KeyBudget"] | null };
  Measured: { p50: number; p75: number; p90: number; p99: number };
  /** An https: address, or a data: address in base64. */
  MediaUrl: string;
  Message: { id: string; type: "message"; role: "assistant"; model: string; provider?: string; content: Array<{ type: string }>; stop_reason: string | null; stop_sequence: string | null; stop_details?: any; usage: Schemas["MessagesUsage"]; container?: any; context_management?: any; openrouter_metadata?: Schemas["RoutingMetadata"] };
  /** What the model said before: blocks go back as they came, unchanged. */
  MessagesAssistantBlock: Schemas["MessagesTextBlock"] | Schemas["MessagesImageBlock"] | { type: "tool_use"; id: string; name: string; input: Record<string, any>; cache_control?: Schemas["CacheControl"] | null } | { type: "thinking"; thinking: string; signature?: string | null } | { type: "redacted_thinking"; data: string } | { type: "server_tool_use" | "mcp_tool_use"; id: string; name: string; input: Record<string, any> } | { type: string; tool_use_id: string; content: any };
  /** One event of a stream, as Anthropic's API has them: `message_start`, `content_block_start`, `content_block_delta`, `content_block_stop`, `message_delta`, `message_stop`, `ping`, `error`. */
  MessagesEvent: { type: string };
  MessagesFormat: { type: "json_schema"; schema: Schemas["JsonSchema"] };
  MessagesImageBlock: { type: "image"; source: Schemas["MessagesSource"]; cache_control?: Schemas["CacheControl"] | null };
  MessagesMessage: { role: "user"; content: string | Array<Schemas["MessagesUserBlock"]> } | { role: "assistant"; content: string | Array<Schemas["MessagesAssistantBlock"]> } | { role: "system"; content: string | Array<Schemas["MessagesTextBlock"]> };
  /** A conversation in Anthropic's words. Fields that are not named here go on to providers that speak them. */
  MessagesRequest: { model?: string | null; models?: Array<string> | null; fallbacks?: Array<{ model: string }> | null; messages: Array<Schemas["MessagesMessage"]>; system?: string | Array<Schemas["MessagesTextBlock"]> | null; max_tokens?: number | null; stream?: boolean | null; temperature?: number | null; top_p?: number | null; top_k?: number | null; stop_sequences?: Array<string> | null; tools?: Array<Schemas["MessagesTool"]> | null; tool_choice?: { type: "auto" | "any" | "none"; disable_parallel_tool_use?: boolean | null } | { type: "tool"; name: string; disable_parallel_tool_use?: boolean | null } | null; thinking?: { type: "enabled" | "disabled" | "adaptive"; budget_tokens?: number | null; display?: string | null } | null; output_config?: { effort?: Schemas["Effort"] | null; format?: Schemas["MessagesFormat"] | null } | null; output_format?: Schemas["MessagesFormat"] | null; metadata?: { user_id?: string | null } | null; service_tier?: string | null; cache_control?: Schemas["CacheControl"] | null; container?: any; mcp_servers?: Array<any> | null; inference_geo?: "global" | null; thread?: null; user?: string | null; session_id?: string | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any };
  MessagesSource: { type: "base64"; media_type: string; data: string } | { type: "url"; url: string };
  MessagesTextBlock: { type: "text"; text: string; citations?: any; cache_control?: Schemas["CacheControl"] | null };
  MessagesTool: { type?: "custom" | null; name: string; description?: string | null; input_schema: Schemas["JsonSchema"]; strict?: boolean | null; cache_control?: Schemas["CacheControl"] | null } | { type: string; name?: string | null };
  MessagesUsage: { input_tokens: number; cache_creation_input_tokens: number; cache_read_input_tokens: number; cache_creation: { ephemeral_5m_input_tokens: number; ephemeral_1h_input_tokens: number }; output_tokens: number; output_tokens_details?: { thinking_tokens: number }; server_tool_use?: any; service_tier?: string | null; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"]; server_tool_use_details?: Schemas["ServerToolUse"]; parts?: Array<Schemas["UsagePart"]> };
  /** What a user says, and what tools answered: the type says which fields there are. */
  MessagesUserBlock: Schemas["MessagesTextBlock"] | Schemas["MessagesImageBlock"] | { type: "document"; source: Schemas["MessagesSource"] | { type: "file"; file_id: string } | { type: "text"; media_type?: string | null; data: string } | { type: "content"; content: string | Array<Schemas["MessagesTextBlock"]> }; title?: string | null; context?: string | null; citations?: any; cache_control?: Schemas["CacheControl"] | null } | { type: "tool_result"; tool_use_id: string; content?: string | Array<Schemas["MessagesTextBlock"] | Schemas["MessagesImageBlock"]> | null; is_error?: boolean | null; cache_control?: Schemas["CacheControl"] | null } | { type: "search_result"; source: string; title: string; content: Array<Schemas["MessagesTextBlock"]>; citations?: any; cache_control?: Schemas["CacheControl"] | null };
  Metadata: Record<string, string>;
  Modality: "text" | "image" | "file" | "audio" | "video" | "embeddings" | "rerank" | "speech" | "transcription";
  Model: { id: string; canonical_slug: string; hugging_face_id: string | null; name: string; created: number; description: string | null; context_length: number; architecture: Schemas["Architecture"]; pricing: Schemas["Pricing"] | null; top_provider: { context_length: number | null; max_completion_tokens: number | null; is_moderated: boolean }; per_request_limits: null; supported_parameters: Array<string>; default_parameters: null; supported_voices: null; knowledge_cutoff: string | null; expiration_date: null; links: { details: string }; reasoning?: { mandatory: boolean; supported_efforts: Array<Schemas["Effort"]>; supports_max_tokens: boolean } };
  ModelEndpoints: { id: string; name: string; created: number; description: string | null; architecture: Schemas["Architecture"]; endpoints: Array<Schemas["Endpoint"]> };
  ModelList: { data: Array<Schemas["Model"]>; total_count: number; links: { next: string | null } };
  NewAppCode: { callback_url: string; code_challenge?: string | null; code_challenge_method?: "S256" | "plain" | null; limit?: Schemas["Dollars"] | null; usage_limit_type?: Schemas["Reset"] | null; expires_at?: string | null; key_label?: string | null; workspace_id?: null };
  /** A limit of pace; null is what the deployment says. */
  Pace: "unlimited" | number | null;
  Percentiles: { p50?: number | null; p75?: number | null; p90?: number | null; p99?: number | null };
  PlannedEndpoint: { provider: string; tag: string; rank: number | null; excluded_by?: string; is_byok?: boolean };
  /** A configuration of requests under a name: a request names it as `@preset/<slug>`. */
  Preset: { id: string; slug: string; name: string; description: string | null; status: "active" | "disabled"; status_updated_at: null; creator_user_id: null; workspace_id: null; designated_version_id: string; designated_version: Schemas["PresetVersion"]; created_at: string; updated_at: string };
  PresetVersion: { id: string; version: number; preset_id: string; creator_id: null; system_prompt: string | null; config: Record<string, any>; created_at: string; updated_at: string };
  /** Dollars per token as exact decimal text. */
  Pricing: { prompt: string; completion: string; request?: string; web_search?: string; image_output?: string; audio?: string; audio_output?: string; internal_reasoning?: string; input_cache_read?: string; input_cache_write?: string; input_cache_write_1h?: string; discount?: number; overrides?: Array<{ min_prompt_tokens: number }>; units?: Array<Schemas["UnitPrice"]> };
  Provider: { name: string; slug: string; privacy_policy_url: string | null; terms_of_service_url: string | null; status_page_url: string | null; headquarters: string | null; datacenters: null };
  /** Where to look, in which order, at what price: the `provider` object of a request. */
  ProviderPreferences: { order?: Array<string> | null; allow_fallbacks?: boolean | null; only?: Array<string> | null; ignore?: Array<string> | null; require_parameters?: boolean | null; data_collection?: "allow" | "deny" | null; zdr?: boolean | null; enforce_distillable_text?: boolean | null; quantizations?: Array<Schemas["Quantization"]> | null; sort?: Schemas["SortBy"] | { by?: Schemas["SortBy"] | null; partition?: "model" | "none" | null } | null; max_price?: { prompt?: Schemas["Dollars"] | null; completion?: Schemas["Dollars"] | null; request?: Schemas["Dollars"] | null; image?: Schemas["Dollars"] | null; audio?: Schemas["Dollars"] | null } | null; preferred_min_throughput?: number | Schemas["Percentiles"] | null; preferred_max_latency?: number | Schemas["Percentiles"] | null; hedge?: boolean | { after_ms?: number | null } | null; continue?: boolean | null; options?: Record<string, Record<string, any>> | null };
  ProviderResponse: { provider_name: string; endpoint_id: string; model_permaslug: string; status: number | null; latency: number | null; id: string | null; error: any; is_byok: boolean; routed_service_tier: string | null; service_tier: string | null; hedge_cost: string | null; part: { tokens_prompt: number; tokens_completion: number; cost: string } | null };
  ProviderWish: { prefer?: string | Array<string>; allow_fallbacks?: boolean; max_price?: number | null; max_latency_ms?: number | null };
  Quantization: "int4" | "int8" | "fp4" | "mxfp4" | "nvfp4" | "fp6" | "fp8" | "mxfp8" | "fp16" | "bf16" | "fp32" | "unknown";
  RankedApp: { rank: number; app_id: number | string; app: string; app_name: string; total_tokens: string; total_requests: number };
  RankedModel: { rank: number; model: string; model_permaslug: string; total_tokens: string; total_requests: number };
  RankingMeta: { as_of: string | null; start_date: string; end_date: string; period?: "day" | "week" | "month" };
  Reasoning: { effort?: Schemas["Effort"] | null; max_tokens?: number | null; exclude?: boolean | null; enabled?: boolean | null; summary?: string | null };
  /** A piece of reasoning. Send them back as they came. */
  ReasoningDetail: { type: string; id?: string | null; format?: string | null; index?: number | null; text?: string | null; summary?: string | null; data?: string | null; signature?: string | null };
  Rerank: { id: string; model: string; provider: string; results: Array<{ index: number; relevance_score: number; document: { text?: string; image?: string } }>; usage: { search_units: number; total_tokens?: number; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"] }; openrouter_metadata?: Schemas["RoutingMetadata"] };
  RerankRequest: { model?: string | null; models?: Array<string> | null; query: string; documents: Array<string | { text: string; image?: string } | { image: string }>; top_n?: number | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; user?: string | null; session_id?: string | null };
  /** How often a limit starts again. */
  Reset: "daily" | "weekly" | "monthly";
  Response: { id: string; object: "response"; created_at: number; status: "completed" | "incomplete" | "failed" | "in_progress"; completed_at?: number | null; model: string; provider?: string; output: Array<{ type: string }>; error: any; incomplete_details: { reason: string } | null; usage: Schemas["ResponsesUsage"] | null; openrouter_metadata?: Schemas["RoutingMetadata"] };
  ResponseFormat: { type: "text" | "json_object" } | { type: "json_schema"; json_schema: { name: string; description?: string | null; schema: Record<string, any>; strict?: boolean | null } };
  /** One event of a stream, as OpenAI's API has them. */
  ResponsesEvent: { type: string; sequence_number: number };
  ResponsesFormat: { type: "text" | "json_object" } | { type: "json_schema"; name: string; description?: string | null; schema: Record<string, any>; strict?: boolean | null };
  ResponsesFunction: { type: "function"; name: string; description?: string | null; parameters?: Schemas["JsonSchema"] | null; strict?: boolean | null; cache_control?: Schemas["CacheControl"] | null };
  ResponsesInputText: { type: "input_text"; text: string; cache_control?: Schemas["CacheControl"] | null; prompt_cache_breakpoint?: Record<string, any> | null };
  /** An item of the conversation. The items of an answer go back as they came. */
  ResponsesItem: { type?: "message" | null; role: "user"; content: string | Array<Schemas["ResponsesPart"]>; id?: string | null; cache_control?: Schemas["CacheControl"] | null } | { type?: "message" | null; role: "system" | "developer"; content: string | Array<Schemas["ResponsesInputText"]>; id?: string | null; cache_control?: Schemas["CacheControl"] | null } | { type?: "message" | null; role: "assistant"; content: string | Array<Schemas["ResponsesOutputText"]>; id?: string | null } | { type: "function_call"; call_id: string; name: string; namespace?: string | null; arguments: string; id?: string | null } | { type: "function_call_output"; call_id: string; output: string | Array<Schemas["ResponsesPart"]>; id?: string | null } | { type: "custom_tool_call"; call_id: string; name: string; namespace?: string | null; input: string; id?: string | null } | { type: "custom_tool_call_output"; call_id: string; output: string | Array<Schemas["ResponsesPart"]>; id?: string | null } | { type: "reasoning"; summary: Array<{ type: "summary_text"; text: string }>; content?: Array<{ type: "reasoning_text"; text: string }> | null; encrypted_content?: string | null; format?: string | null; id?: string | null } | { type: "image_generation_call"; result?: string | null; output_format?: string | null; id?: string | null } | { type: "web_search_call" | "file_search_call" | "code_interpreter_call" | "mcp_call" | "mcp_list_tools"; id?: string | null } | { type: "compaction" | "tool_search_call" | "tool_search_output" | "additional_tools" | "mcp_approval_request" };
  ResponsesOutputText: { type: "output_text"; text: string } | { type: "refusal"; refusal: string };
  ResponsesPart: Schemas["ResponsesInputText"] | { type: "input_image"; image_url: Schemas["MediaUrl"]; detail?: string | null } | { type: "input_file"; file_data: Schemas["MediaUrl"]; filename?: string | null } | { type: "input_file"; file_url: Schemas["MediaUrl"]; filename?: string | null } | { type: "input_file"; file_id: string; filename?: string | null } | { type: "input_audio"; input_audio: { data: string; format: string } } | { type: "input_video"; video_url: Schemas["MediaUrl"] };
  /** A request in the words of OpenAI's Responses. Nothing is stored: send the whole conversation as input. */
  ResponsesRequest: { model?: string | null; models?: Array<string> | null; input: string | Array<Schemas["ResponsesItem"]>; instructions?: string | null; stream?: boolean | null; max_output_tokens?: number | null; temperature?: number | null; top_p?: number | null; top_k?: number | null; frequency_penalty?: number | null; presence_penalty?: number | null; top_logprobs?: number | null; stop?: string | Array<string> | null; tools?: Array<Schemas["ResponsesTool"]> | null; tool_choice?: "auto" | "none" | "required" | { type: "function" | "custom"; name: string; namespace?: string } | null; parallel_tool_calls?: boolean | null; reasoning?: Schemas["Reasoning"] | null; text?: { format?: Schemas["ResponsesFormat"] | null; verbosity?: "low" | "medium" | "high" | "xhigh" | "max" | null } | null; include?: Array<string> | null; cache_control?: Schemas["CacheControl"] | null; modalities?: Array<string> | null; service_tier?: string | null; user?: string | null; safety_identifier?: string | null; session_id?: string | null; prompt_cache_key?: string | null; metadata?: Schemas["Metadata"] | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; store?: false | null; background?: false | null; previous_response_id?: null; conversation?: null; prompt?: null };
  ResponsesTool: Schemas["ResponsesFunction"] | { type: "custom"; name: string; description?: string | null; format?: Record<string, any> | null } | { type: "namespace"; name: string; description?: string | null; tools: Array<Schemas["ResponsesFunction"]> } | { type: Schemas["ServerToolWord"] } | Schemas["CatalogTool"];
  ResponsesUsage: { input_tokens: number; input_tokens_details: { cached_tokens: number; cache_write_tokens: number }; output_tokens: number; output_tokens_details: { reasoning_tokens: number }; total_tokens: number; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"]; server_tool_use_details?: Schemas["ServerToolUse"]; parts?: Array<Schemas["UsagePart"]> };
  /** How a chat completion would be routed now. */
  RoutePlan: { requested: string; strategy: "direct" | "alias" | "latest" | "fallback" | "free" | "auto"; sort: Schemas["SortBy"] | null; partition: "none" | "model"; prompt_tokens: number; seed: string; attempts: Array<{ model: string; tag: string }>; models: Array<{ requested: string; model: string; sort: Schemas["SortBy"] | null; sticky_endpoint: string | null; endpoints: Array<Schemas["PlannedEndpoint"]> }>; statistics_gathered_at: number | null };
  RouteRequest: { intent: string; input?: Record<string, any> | null; tools?: Array<string>; fill?: boolean };
  /** How the request was routed, where `X-OpenRouter-Metadata: enabled` asks for it. */
  RoutingMetadata: { requested: string; strategy: "direct" | "alias" | "latest" | "fallback" | "free" | "auto"; region: string | null; summary: string; attempt: number; is_byok: boolean; endpoints: { total: number; available: Array<{ provider: string; model: string; selected: boolean }> }; attempts?: Array<{ provider: string; model: string; status: number }>; params?: Record<string, any>; generation_time?: number | null };
  ServerToolType: "openrouter:web_search" | "openrouter:web_fetch" | "openrouter:datetime";
  ServerToolUse: { web_search_requests: number; web_fetch_requests: number; tool_calls_requested: number; tool_calls_executed: number };
  /** A tool that the gateway runs, or has the provider run; in OpenAI's and Anthropic's own words too, such as `web_search_preview`. */
  ServerToolWord: Schemas["ServerToolType"] | string;
  SortBy: "price" | "throughput" | "latency" | "exacto";
  SpeechFormat: "pcm" | "mp3" | "wav" | "opus" | "aac" | "flac";
  SpeechRequest: { model?: string | null; models?: Array<string> | null; input: string | Array<{ text: string; voice?: string; instructions?: string }>; voice?: string | { id: string } | null; response_format?: Schemas["SpeechFormat"] | null; speed?: number | null; instructions?: string | null; input_references?: Array<{ type: "input_audio"; input_audio: { data: string } }> | null; stream_format?: "audio" | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; user?: string | null; session_id?: string | null };
  /** One operation of a provider. `operations` is that one, as other catalogs nest them. */
  Tool: { id: string; object: "tool"; slug: string; wire_name: string; name: string; description: string; provider: string; provider_name: string; source: "shipped" | "openapi" | "mcp"; category: string; super_category: string; sub_category: string | null; capability: string | null; effect: Schemas["ExecutionEffect"]; offerability: Schemas["ToolOfferability"]; gateway_enabled: boolean; status: "active" | "inactive"; health_status: "healthy" | "degraded" | "down" | "unknown"; rating: number | null; protocols: Array<string>; price_per_call: number; cost: number; pricing: Schemas["ToolPricing"]; operations: Array<{ id: string; name: string; description: string; price_per_call: number }>; undo: { tool: string; class: "clean" | "partial"; note: string | null } | null; result_kind: string | null; input_schema?: any; output_schema?: any; docs?: string | null; website?: string | null; attribution?: string | null; intents?: Array<string>; price_source?: string | null; retry?: { kind: "safe" | "none" | "key"; sends_key: boolean }; costs_money?: boolean; is_paged?: boolean; is_job?: boolean; timeout_ms?: number; key_fields?: Array<string>; beliefs?: any };
  ToolCategory: { id: string; name: string; tools: number; providers: Array<string>; capabilities: Array<string> };
  ToolConfirmation: { token: string; expires_at: number; summary: string; effects: Array<string>; cost_ceiling: number; reason: string };
  ToolFormat: "openai" | "openai-responses" | "anthropic" | "gemini" | "mcp";
  /** A page of tools; with `format` functions as the request of that API takes them in `tools`. */
  ToolList: { object: "list"; data: Array<Schemas["Tool"] | Record<string, any>>; total_count: number; has_more: boolean; limit?: number; offset?: number; version?: string; format?: Schemas["ToolFormat"]; meta?: boolean };
  /** Whether a tool can be called, and with whose key: the operator's or none, the account's own, one that the account would have to bring, or not here. */
  ToolOfferability: "native" | "customer_byok" | "byok_required" | "unavailable";
  /** Dollars; what is nothing is left out. */
  ToolPricing: { currency: "USD"; per_call?: number; per_unit?: number; per_character?: number; hold?: number; unit?: { counted: string; per: number; included: number }; as_the_provider_states?: true; depends_on_input?: true };
  ToolRoute: { intent: string; tool: string | null; abstained: boolean; reason: string; confidence: number; relevance: number; thresholds: { confidence: number; relevance: number }; remembered_intents: number; named_providers: Array<string>; meaning: { model: string; near: Array<number>; lead: number; least_lead: number; decides: boolean; generation: string | null; cost: number | null; problem: string | null } | null; candidates: Array<{ tool: string; title: string; kind: "capability" | "operation"; effect: string; score: number; matched: Array<string>; providers: Array<string> }>; input?: Record<string, any> | null; filled?: { by: string; model: string | null; generation: string | null; cost: number | null; problem: string | null }; input_schema?: Record<string, any>; needs_confirmation?: boolean };
  /** The results, in the form in which the calls came. */
  ToolRun: { object: "tool_run"; messages?: Array<Record<string, any>>; output?: Array<Record<string, any>>; executions: Array<Schemas["Execution"]>; confirmations: Array<{ call_id: string; tool: string; token: string; expires_at: number; summary: string }>; unanswered: Array<string>; usage: { cost: number } };
  /** A model's answer with calls: one of the first seven fields. */
  ToolRunRequest: { message?: Record<string, any>; messages?: Array<Record<string, any>>; choices?: Array<Record<string, any>>; tool_calls?: Array<Record<string, any>>; output?: Array<Record<string, any>>; input?: Array<Record<string, any>>; content?: Array<Record<string, any>> | string | null; confirmations?: Record<string, string> | null; confirm?: Schemas["ConfirmPolicy"] | null; confirm_by?: "client" | "model" | null; tools?: Array<string> | null; skip_unknown?: boolean | null };
  ToolUndo: { tool: string; input: any; class: "clean" | "partial"; note?: string };
  ToolUsage: { id: string; request_id: string | null; tool: string; provider: string | null; status: string; error: string | null; cost: number | null; byok: boolean; latency_ms: number | null; surface: string | null; key_hash: string; created_at: string };
  ToolWarning: { code: string; message: string; item?: any };
  Transcription: { text: string; usage: { seconds: number; input_tokens?: number; output_tokens?: number; total_tokens?: number; cost: number; is_byok: boolean; cost_details: Schemas["CostDetails"] } };
  TranscriptionEvent: { type: "transcript.text.delta" | "transcript.text.done" | "error"; delta?: string; text?: string; usage?: any };
  /** The form that OpenAI's SDKs send. */
  TranscriptionForm: { model: string; file: string; language?: string; temperature?: number; response_format?: "json" | "verbose_json"; timestamp_granularities?: Array<"word" | "segment">; diarize?: boolean; keyterms?: Array<string>; stream?: boolean; source_url?: string; provider?: string; max_cost?: string; user?: string; session_id?: string };
  TranscriptionRequest: { model?: string | null; models?: Array<string> | null; input_audio: { data: string; format: string } | { url: string }; language?: string | null; temperature?: number | null; response_format?: "json" | "verbose_json" | null; timestamp_granularities?: Array<"word" | "segment"> | null; diarize?: boolean | null; keyterms?: Array<string> | null; stream?: boolean | null; provider?: Schemas["ProviderPreferences"] | null; max_cost?: Schemas["Dollars"] | null; trace?: any; user?: string | null; session_id?: string | null };
  UnitPrice: { billable: string; unit: string; cost_usd: string | number; variant?: string };
  /** Who wrote which part, where several providers wrote one answer. */
  UsagePart: { provider: string; prompt_tokens: number; completion_tokens: number; cost: number };
}

export interface Operations {
  /** Tell programs how to get in */
  getAgentManifest: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { name: string; openapi: string; endpoints: Record<string, any>; protocols: Record<string, any> };
    event: never;
  };
  /** Speak a text */
  postAudioSpeech: {
    path: undefined;
    query: undefined;
    body: Schemas["SpeechRequest"];
    response: Response;
    event: never;
  };
  /** Transcribe a recording */
  postAudioTranscriptions: {
    path: undefined;
    query: undefined;
    body: Schemas["TranscriptionRequest"];
    response: Schemas["Transcription"];
    event: Schemas["TranscriptionEvent"];
  };
  /** Show the key that asks */
  getAuthKey: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { data: Schemas["KeyState"] };
    event: never;
  };
  /** Make a code for an app */
  postAuthKeysCode: {
    path: undefined;
    query: undefined;
    body: Schemas["NewAppCode"];
    response: { data: { id: string; app_id: number; created_at: string } };
    event: never;
  };
  /** Show what is believed of the providers of tools, and by which rule */
  getBeliefs: {
    path: undefined;
    query: { category?: string; tool?: string };
    body: undefined;
    response: Schemas["Beliefs"];
    event: never;
  };
  /** Complete a chat */
  postChatCompletions: {
    path: undefined;
    query: undefined;
    body: Schemas["ChatRequest"];
    response: Schemas["ChatCompletion"];
    event: Schemas["ChatChunk"];
  };
  /** Complete a text */
  postCompletions: {
    path: undefined;
    query: undefined;
    body: Schemas["CompletionRequest"];
    response: Schemas["Completion"];
    event: Schemas["Completion"];
  };
  /** Show what was bought and used */
  getCredits: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { data: Schemas["Credits"] };
    event: never;
  };
  /** List the apps of the last 30 days */
  getDatasetsAppRankings: {
    path: undefined;
    query: { start_date?: string; end_date?: string; sort?: "popular"; limit?: number; offset?: number };
    body: undefined;
    response: { data: Array<Schemas["RankedApp"]>; meta: Schemas["RankingMeta"] };
    event: never;
  };
  /** List the models of each day */
  getDatasetsRankingsDaily: {
    path: undefined;
    query: { start_date?: string; end_date?: string };
    body: undefined;
    response: { data: Array<{ date: string; model_permaslug: string; total_tokens: string }>; meta: Schemas["RankingMeta"] };
    event: never;
  };
  /** Embed */
  postEmbeddings: {
    path: undefined;
    query: undefined;
    body: Schemas["EmbeddingsRequest"];
    response: Schemas["Embeddings"];
    event: never;
  };
  /** List models that embed */
  getEmbeddingsModels: {
    path: undefined;
    query: { offset?: number; limit?: number; q?: string; supported_parameters?: string; output_modalities?: string; input_modalities?: string; sort?: "newest" | "pricing-low-to-high" | "pricing-high-to-low" | "context-high-to-low" | "most-popular" | "top-weekly" | "throughput-high-to-low" | "latency-low-to-high"; context?: number; min_price?: number; max_price?: number; min_output_price?: number; max_output_price?: number; model_authors?: string; providers?: string; zdr?: boolean; min_age_days?: number; max_age_days?: number };
    body: undefined;
    response: Schemas["ModelList"];
    event: never;
  };
  /** Execute a tool, at ToolRoute's path */
  postExecute: {
    path: undefined;
    query: undefined;
    body: Schemas["ExecuteRequest"];
    response: Schemas["Execution"];
    event: never;
  };
  /** Show the record of a request */
  getGeneration: {
    path: undefined;
    query: { id: string };
    body: undefined;
    response: { data: Schemas["Generation"] };
    event: never;
  };
  /** Show what was asked and answered */
  getGenerationContent: {
    path: undefined;
    query: { id: string };
    body: undefined;
    response: { data: Schemas["Content"] };
    event: never;
  };
  /** Say what was wrong with an answer */
  postGenerationFeedback: {
    path: undefined;
    query: undefined;
    body: { generation_id: string; category: "latency" | "incoherence" | "incorrect_response" | "formatting" | "billing" | "api_error" | "other"; comment?: string | null };
    response: { data: { success: true } };
    event: never;
  };
  /** Make images */
  postImages: {
    path: undefined;
    query: undefined;
    body: Schemas["ImagesRequest"];
    response: Schemas["Images"];
    event: Schemas["ImagesEvent"];
  };
  /** Make images, where OpenAI's SDKs look for it */
  postImagesGenerations: {
    path: undefined;
    query: undefined;
    body: Schemas["ImagesRequest"];
    response: Schemas["Images"];
    event: Schemas["ImagesEvent"];
  };
  /** List models that make images */
  getImagesModels: {
    path: undefined;
    query: { offset?: number; limit?: number; q?: string; supported_parameters?: string; output_modalities?: string; input_modalities?: string; sort?: "newest" | "pricing-low-to-high" | "pricing-high-to-low" | "context-high-to-low" | "most-popular" | "top-weekly" | "throughput-high-to-low" | "latency-low-to-high"; context?: number; min_price?: number; max_price?: number; min_output_price?: number; max_output_price?: number; model_authors?: string; providers?: string; zdr?: boolean; min_age_days?: number; max_age_days?: number };
    body: undefined;
    response: { data: Array<Schemas["ImageModel"]> };
    event: never;
  };
  /** Show who makes images with a model */
  getImagesModelsByAuthorBySlugEndpoints: {
    path: { author: string; slug: string };
    query: undefined;
    body: undefined;
    response: { id: string; endpoints: Array<Schemas["ImageEndpoint"]> };
    event: never;
  };
  /** Show the key that asks */
  getKey: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { data: Schemas["KeyState"] };
    event: never;
  };
  /** Create a message, as Anthropic's API has it */
  postMessages: {
    path: undefined;
    query: undefined;
    body: Schemas["MessagesRequest"];
    response: Schemas["Message"];
    event: Schemas["MessagesEvent"];
  };
  /** Count the tokens of a message */
  postMessagesCountTokens: {
    path: undefined;
    query: undefined;
    body: Schemas["MessagesRequest"];
    response: { input_tokens: number };
    event: never;
  };
  /** Show a model */
  getModelByAuthorBySlug: {
    path: { author: string; slug: string };
    query: undefined;
    body: undefined;
    response: { data: Schemas["Model"] };
    event: never;
  };
  /** List models */
  getModels: {
    path: undefined;
    query: { offset?: number; limit?: number; q?: string; supported_parameters?: string; output_modalities?: string; input_modalities?: string; sort?: "newest" | "pricing-low-to-high" | "pricing-high-to-low" | "context-high-to-low" | "most-popular" | "top-weekly" | "throughput-high-to-low" | "latency-low-to-high"; context?: number; min_price?: number; max_price?: number; min_output_price?: number; max_output_price?: number; model_authors?: string; providers?: string; zdr?: boolean; min_age_days?: number; max_age_days?: number };
    body: undefined;
    response: Schemas["ModelList"];
    event: never;
  };
  /** Count models */
  getModelsCount: {
    path: undefined;
    query: { offset?: number; limit?: number; q?: string; supported_parameters?: string; output_modalities?: string; input_modalities?: string; sort?: "newest" | "pricing-low-to-high" | "pricing-high-to-low" | "context-high-to-low" | "most-popular" | "top-weekly" | "throughput-high-to-low" | "latency-low-to-high"; context?: number; min_price?: number; max_price?: number; min_output_price?: number; max_output_price?: number; model_authors?: string; providers?: string; zdr?: boolean; min_age_days?: number; max_age_days?: number };
    body: undefined;
    response: { data: { count: number } };
    event: never;
  };
  /** List the models that the key may call */
  getModelsUser: {
    path: undefined;
    query: { offset?: number; limit?: number; q?: string; supported_parameters?: string; output_modalities?: string; input_modalities?: string; sort?: "newest" | "pricing-low-to-high" | "pricing-high-to-low" | "context-high-to-low" | "most-popular" | "top-weekly" | "throughput-high-to-low" | "latency-low-to-high"; context?: number; min_price?: number; max_price?: number; min_output_price?: number; max_output_price?: number; model_authors?: string; providers?: string; zdr?: boolean; min_age_days?: number; max_age_days?: number };
    body: undefined;
    response: Schemas["ModelList"];
    event: never;
  };
  /** Show a model, as OpenAI's SDKs retrieve it */
  getModelsByAuthorBySlug: {
    path: { author: string; slug: string };
    query: undefined;
    body: undefined;
    response: Schemas["Model"];
    event: never;
  };
  /** Show who serves a model */
  getModelsByAuthorBySlugEndpoints: {
    path: { author: string; slug: string };
    query: undefined;
    body: undefined;
    response: { data: Schemas["ModelEndpoints"] };
    event: never;
  };
  /** List presets */
  getPresets: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { data: Array<Schemas["Preset"]>; total_count: number };
    event: never;
  };
  /** Show a preset */
  getPresetsBySlug: {
    path: { slug: string };
    query: undefined;
    body: undefined;
    response: { data: Schemas["Preset"] };
    event: never;
  };
  /** Keep a chat completion's configuration */
  postPresetsBySlugChatCompletions: {
    path: { slug: string };
    query: undefined;
    body: Schemas["ChatRequest"];
    response: { data: Schemas["Preset"] };
    event: never;
  };
  /** Keep a message's configuration */
  postPresetsBySlugMessages: {
    path: { slug: string };
    query: undefined;
    body: Schemas["MessagesRequest"];
    response: { data: Schemas["Preset"] };
    event: never;
  };
  /** Keep a response's configuration */
  postPresetsBySlugResponses: {
    path: { slug: string };
    query: undefined;
    body: Schemas["ResponsesRequest"];
    response: { data: Schemas["Preset"] };
    event: never;
  };
  /** List the versions of a preset */
  getPresetsBySlugVersions: {
    path: { slug: string };
    query: undefined;
    body: undefined;
    response: { data: Array<Schemas["PresetVersion"]>; total_count: number };
    event: never;
  };
  /** Show a version of a preset */
  getPresetsBySlugVersionsByVersion: {
    path: { slug: string; version: string };
    query: undefined;
    body: undefined;
    response: { data: Schemas["PresetVersion"] };
    event: never;
  };
  /** List providers */
  getProviders: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { data: Array<Schemas["Provider"]> };
    event: never;
  };
  /** Rank models and apps */
  getRankings: {
    path: undefined;
    query: { period?: "day" | "week" | "month" };
    body: undefined;
    response: { data: { models: Array<Schemas["RankedModel"]>; apps: Array<Schemas["RankedApp"]> }; meta: Schemas["RankingMeta"] };
    event: never;
  };
  /** Rank apps */
  getRankingsApps: {
    path: undefined;
    query: { period?: "day" | "week" | "month" };
    body: undefined;
    response: { data: Array<Schemas["RankedApp"]>; meta: Schemas["RankingMeta"] };
    event: never;
  };
  /** Rank models */
  getRankingsModels: {
    path: undefined;
    query: { period?: "day" | "week" | "month" };
    body: undefined;
    response: { data: Array<Schemas["RankedModel"]>; meta: Schemas["RankingMeta"] };
    event: never;
  };
  /** Rank documents */
  postRerank: {
    path: undefined;
    query: undefined;
    body: Schemas["RerankRequest"];
    response: Schemas["Rerank"];
    event: never;
  };
  /** Create a response, as OpenAI's newer API has it */
  postResponses: {
    path: undefined;
    query: undefined;
    body: Schemas["ResponsesRequest"];
    response: Schemas["Response"];
    event: Schemas["ResponsesEvent"];
  };
  /** Explain how a chat completion would be routed now */
  postRoute: {
    path: undefined;
    query: undefined;
    body: Schemas["ChatRequest"];
    response: { data: Schemas["RoutePlan"] };
    event: never;
  };
  /** List tools */
  getTools: {
    path: undefined;
    query: { q?: string; category?: string; provider?: string; effect?: Schemas["ExecutionEffect"]; capability?: string; names?: string; offerability?: "all" | Schemas["ToolOfferability"]; limit?: number; offset?: number; format?: Schemas["ToolFormat"]; strict?: boolean; all?: boolean; meta?: boolean; confirm?: boolean; schemas?: boolean };
    body: undefined;
    response: Schemas["ToolList"];
    event: never;
  };
  /** List the categories of tools */
  getToolsCategories: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { object: "list"; data: Array<Schemas["ToolCategory"]>; total_count: number };
    event: never;
  };
  /** Execute a tool */
  postToolsExecute: {
    path: undefined;
    query: undefined;
    body: Schemas["ExecuteRequest"];
    response: Schemas["Execution"];
    event: never;
  };
  /** List executions of the last day */
  getToolsExecutions: {
    path: undefined;
    query: { limit?: number; before?: string; status?: Schemas["ExecutionState"]; parent?: string; key_hash?: string };
    body: undefined;
    response: { data: Array<Schemas["ExecutionEntry"]>; next: string | null };
    event: never;
  };
  /** Show an execution */
  getToolsExecutionsById: {
    path: { id: string };
    query: undefined;
    body: undefined;
    response: Schemas["Execution"];
    event: never;
  };
  /** Stop a job */
  deleteToolsExecutionsById: {
    path: { id: string };
    query: undefined;
    body: undefined;
    response: Schemas["Execution"];
    event: never;
  };
  /** Say whether an execution did what it should */
  postToolsExecutionsByIdReport: {
    path: { id: string };
    query: undefined;
    body: { outcome: "success" | "failure"; reason?: string | null };
    response: { data: { id: string; tool: string; outcome: "success" | "failure" } };
    event: never;
  };
  /** Choose a tool for what is wanted in words, without running it */
  postToolsRoute: {
    path: undefined;
    query: undefined;
    body: Schemas["RouteRequest"];
    response: Schemas["ToolRoute"];
    event: never;
  };
  /** Run the calls of a model's answer */
  postToolsRun: {
    path: undefined;
    query: undefined;
    body: Schemas["ToolRunRequest"];
    response: Schemas["ToolRun"];
    event: never;
  };
  /** Show a tool */
  getToolsByProviderByOperation: {
    path: { provider: string; operation: string };
    query: undefined;
    body: undefined;
    response: { data: Schemas["Tool"] };
    event: never;
  };
  /** List executions with what they cost */
  getUsage: {
    path: undefined;
    query: { tool?: string; since?: string; limit?: number; offset?: number };
    body: undefined;
    response: { object: "list"; data: Array<Schemas["ToolUsage"]>; limit: number; offset: number };
    event: never;
  };
  /** Tell that the gateway is up */
  getHealth: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { status: "ok" };
    event: never;
  };
  /** Show this document */
  getOpenapiJson: {
    path: undefined;
    query: undefined;
    body: undefined;
    response: { openapi: string };
    event: never;
  };
}

export type OperationId = keyof Operations;
