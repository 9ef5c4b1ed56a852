"""Types of the API. Generated from openapi.json by `npm run clients`."""

from typing import Any, Literal, TypedDict, Union

# A citation.
Annotation = TypedDict(
    "Annotation",
    {
        "type": "str",
    },
    total=False,
)
Architecture = TypedDict(
    "Architecture",
    {
        "modality": "str",
        "input_modalities": "list[Modality]",
        "output_modalities": "list[Modality]",
        "tokenizer": "str",
        "instruct_type": "str | None",
    },
    total=False,
)
Belief = TypedDict(
    "Belief",
    {
        "tool": "str",
        "category": "str",
        "success": "dict[str, Any]",
        "observations": "BeliefCounts",
        "errors": "dict[str, int]",
        "latency": "dict[str, Any]",
        "mean_cost": "float | None",
        "last_seen": "str",
        "resting_until": "str | None",
        "own": "dict[str, Any] | None",
    },
    total=False,
)
BeliefCounts = TypedDict(
    "BeliefCounts",
    {
        "succeeded": "int",
        "failed": "int",
        "rate_limited": "int",
        "neither": "int",
        "beyond_share": "int",
        "reported_good": "int",
        "reported_bad": "int",
    },
    total=False,
)
BeliefLatency = TypedDict(
    "BeliefLatency",
    {
        "ms": "float",
        "at_least": "bool",
    },
    total=False,
)
Beliefs = TypedDict(
    "Beliefs",
    {
        "data": "list[Belief]",
        "champions": "list[dict[str, Any]]",
        "rule": "str",
        "constants": "dict[str, float]",
        "gathered_at": "str | None",
    },
    total=False,
)
CacheControl = TypedDict(
    "CacheControl",
    {
        "type": "Literal[\"ephemeral\"]",
        "ttl": "Literal[\"5m\", \"1h\", None]",
    },
    total=False,
)
# Tools of the catalog that the gateway runs inside a conversation: one by its name (`provider/operation`, or a capability), or all that fit.
CatalogTool = Union["dict[str, Any]"]
Charge = Union["dict[str, Any]"]
# What the model said before. `reasoning_details` go back as they came, unchanged.
ChatAssistantMessage = TypedDict(
    "ChatAssistantMessage",
    {
        "role": "Literal[\"assistant\"]",
        "content": "str | list[ChatTextPart | ChatRefusalPart] | None",
        "name": "str | None",
        "refusal": "str | None",
        "reasoning": "str | None",
        "reasoning_content": "str | None",
        "reasoning_details": "list[ReasoningDetail] | None",
        "images": "list[ChatImagePart] | None",
        "tool_calls": "list[ChatToolCall] | None",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatAudioPart = TypedDict(
    "ChatAudioPart",
    {
        "type": "Literal[\"input_audio\"]",
        "input_audio": "dict[str, Any]",
    },
    total=False,
)
ChatChoice = TypedDict(
    "ChatChoice",
    {
        "index": "int",
        "logprobs": "dict[str, Any] | None",
        "finish_reason": "FinishReason | None",
        "native_finish_reason": "str | None",
        "message": "dict[str, Any]",
        "error": "Any",
    },
    total=False,
)
# One event of a stream. The last one has the usage; `[DONE]` follows it.
ChatChunk = TypedDict(
    "ChatChunk",
    {
        "id": "str",
        "object": "Literal[\"chat.completion.chunk\"]",
        "created": "int",
        "model": "str",
        "provider": "str",
        "system_fingerprint": "str | None",
        "service_tier": "str | None",
        "choices": "list[dict[str, Any]]",
        "usage": "ChatUsage",
        "error": "Any",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
ChatCompletion = TypedDict(
    "ChatCompletion",
    {
        "id": "str",
        "object": "Literal[\"chat.completion\"]",
        "created": "int",
        "model": "str",
        "provider": "str",
        "system_fingerprint": "str | None",
        "service_tier": "str | None",
        "choices": "list[ChatChoice]",
        "usage": "ChatUsage",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
ChatContentPart = Union["ChatTextPart | ChatImagePart | ChatFilePart | ChatAudioPart | ChatVideoPart"]
ChatFilePart = TypedDict(
    "ChatFilePart",
    {
        "type": "Literal[\"file\"]",
        "file": "dict[str, Any]",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatFunction = TypedDict(
    "ChatFunction",
    {
        "name": "str",
        "description": "str | None",
        "parameters": "JsonSchema | None",
        "strict": "bool | None",
    },
    total=False,
)
ChatImagePart = TypedDict(
    "ChatImagePart",
    {
        "type": "Literal[\"image_url\"]",
        "image_url": "MediaUrl | dict[str, Any]",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatInstruction = TypedDict(
    "ChatInstruction",
    {
        "role": "Literal[\"system\", \"developer\"]",
        "content": "str | list[ChatTextPart]",
        "name": "str | None",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatMessage = Union["ChatInstruction | ChatUserMessage | ChatAssistantMessage | ChatToolMessage"]
ChatRefusalPart = TypedDict(
    "ChatRefusalPart",
    {
        "type": "Literal[\"refusal\"]",
        "refusal": "str",
    },
    total=False,
)
# A chat completion as it is asked for. Fields that are not named here go on to the provider.
ChatRequest = TypedDict(
    "ChatRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "messages": "list[ChatMessage] | None",
        "prompt": "str | None",
        "stream": "bool | None",
        "stream_options": "dict[str, Any] | None",
        "temperature": "float | None",
        "top_p": "float | None",
        "top_k": "int | None",
        "min_p": "float | None",
        "top_a": "float | None",
        "frequency_penalty": "float | None",
        "presence_penalty": "float | None",
        "repetition_penalty": "float | None",
        "seed": "int | None",
        "max_tokens": "int | None",
        "max_completion_tokens": "int | None",
        "stop": "str | list[str] | None",
        "tools": "list[ChatTool] | None",
        "tool_choice": "Literal[\"auto\", \"none\", \"required\"] | dict[str, Any] | None",
        "parallel_tool_calls": "bool | None",
        "response_format": "ResponseFormat | None",
        "reasoning": "Reasoning | None",
        "reasoning_effort": "Effort | None",
        "include_reasoning": "bool | None",
        "cache_control": "CacheControl | None",
        "n": "int | None",
        "logprobs": "bool | None",
        "top_logprobs": "int | None",
        "logit_bias": "dict[str, float] | None",
        "prediction": "Any",
        "modalities": "list[Literal[\"text\", \"image\", \"audio\"]] | None",
        "audio": "dict[str, Any] | None",
        "web_search_options": "dict[str, Any] | None",
        "service_tier": "str | None",
        "verbosity": "Literal[\"low\", \"medium\", \"high\", \"xhigh\", \"max\", None]",
        "user": "str | None",
        "session_id": "str | None",
        "prompt_cache_key": "str | None",
        "metadata": "Metadata | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "transforms": "list[str] | None",
        "plugins": "list[dict[str, Any]] | None",
    },
    total=False,
)
ChatTextPart = TypedDict(
    "ChatTextPart",
    {
        "type": "Literal[\"text\"]",
        "text": "str",
        "cache_control": "CacheControl | None",
        "prompt_cache_breakpoint": "dict[str, Any] | None",
    },
    total=False,
)
ChatTool = Union["dict[str, Any] | CatalogTool"]
ChatToolCall = TypedDict(
    "ChatToolCall",
    {
        "id": "str",
        "type": "Literal[\"function\"]",
        "index": "int",
        "function": "dict[str, Any]",
    },
    total=False,
)
ChatToolMessage = TypedDict(
    "ChatToolMessage",
    {
        "role": "Literal[\"tool\"]",
        "tool_call_id": "str",
        "content": "str | list[ChatContentPart]",
        "name": "str | None",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatUsage = TypedDict(
    "ChatUsage",
    {
        "prompt_tokens": "int",
        "completion_tokens": "int",
        "total_tokens": "int",
        "cost": "float",
        "is_byok": "bool",
        "prompt_tokens_details": "dict[str, Any]",
        "cost_details": "CostDetails",
        "completion_tokens_details": "dict[str, Any]",
        "server_tool_use": "ServerToolUse",
        "server_tool_use_details": "ServerToolUse",
        "parts": "list[UsagePart]",
    },
    total=False,
)
ChatUserMessage = TypedDict(
    "ChatUserMessage",
    {
        "role": "Literal[\"user\"]",
        "content": "str | list[ChatContentPart]",
        "name": "str | None",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ChatVideoPart = Union["dict[str, Any]"]
Completion = TypedDict(
    "Completion",
    {
        "id": "str",
        "object": "Literal[\"text_completion\"]",
        "created": "int",
        "model": "str",
        "provider": "str",
        "system_fingerprint": "str | None",
        "choices": "list[dict[str, Any]]",
        "usage": "ChatUsage",
        "error": "Any",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
# A text completion as it is asked for: the fields of a chat completion, with a prompt in the place of messages.
CompletionRequest = TypedDict(
    "CompletionRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "prompt": "str | list[str]",
        "suffix": "str",
        "echo": "bool",
        "best_of": "int",
        "stream": "bool | None",
        "max_tokens": "int | None",
        "temperature": "float | None",
        "top_p": "float | None",
        "top_k": "int | None",
        "frequency_penalty": "float | None",
        "presence_penalty": "float | None",
        "repetition_penalty": "float | None",
        "seed": "int | None",
        "stop": "str | list[str] | None",
        "n": "int | None",
        "logprobs": "int | bool | None",
        "logit_bias": "dict[str, float] | None",
        "user": "str | None",
        "session_id": "str | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
    },
    total=False,
)
ConfirmPolicy = Union["Literal[\"never\", \"destructive\", \"writes\", \"always\"]"]
# What was asked and answered, where the account keeps it.
Content = TypedDict(
    "Content",
    {
        "input": "Any",
        "output": "Any",
        "error": "Any",
        "input_truncated": "bool",
        "output_truncated": "bool",
    },
    total=False,
)
# What an answer cost in detail.
CostDetails = TypedDict(
    "CostDetails",
    {
        "upstream_inference_cost": "float",
        "upstream_inference_prompt_cost": "float",
        "upstream_inference_completions_cost": "float",
        "cache_discount": "float",
        "hedge_cost": "float",
        "server_tool_cost": "float",
        "tool_executions_cost": "float",
    },
    total=False,
)
Credits = TypedDict(
    "Credits",
    {
        "total_credits": "float",
        "total_usage": "float",
    },
    total=False,
)
# Dollars as an exact decimal number, or the same as text.
Dollars = Union["float | str"]
# How hard to think, weakest first.
Effort = Union["Literal[\"none\", \"minimal\", \"low\", \"medium\", \"high\", \"xhigh\", \"max\"]"]
Embeddings = TypedDict(
    "Embeddings",
    {
        "id": "str",
        "object": "Literal[\"list\"]",
        "model": "str",
        "provider": "str",
        "data": "list[dict[str, Any]]",
        "usage": "dict[str, Any]",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
EmbeddingsPart = Union["dict[str, Any]"]
EmbeddingsRequest = TypedDict(
    "EmbeddingsRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "input": "str | list[int] | list[str | list[int] | dict[str, Any]]",
        "dimensions": "int | None",
        "encoding_format": "Literal[\"float\", \"base64\", None]",
        "input_type": "str | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "user": "str | None",
        "session_id": "str | None",
    },
    total=False,
)
Endpoint = TypedDict(
    "Endpoint",
    {
        "name": "str",
        "model_id": "str",
        "model_name": "str",
        "provider_name": "str",
        "tag": "str",
        "context_length": "int",
        "max_prompt_tokens": "int | None",
        "max_completion_tokens": "int | None",
        "quantization": "Quantization | None",
        "pricing": "Pricing",
        "supported_parameters": "list[str]",
        "supports_implicit_caching": "bool",
        "supports_tool_choice": "dict[str, Any]",
        "native_tools": "dict[str, Any]",
        "service_tier": "str | None",
        "status": "int",
        "uptime_last_5m": "float | None",
        "uptime_last_30m": "float | None",
        "uptime_last_1d": "float | None",
        "latency_last_30m": "Measured | None",
        "throughput_last_30m": "Measured | None",
        "supports_diarization": "bool",
    },
    total=False,
)
# One execution of a tool.
ExecuteRequest = TypedDict(
    "ExecuteRequest",
    {
        "tool": "str | None",
        "intent": "str | None",
        "input": "dict[str, Any] | None",
        "provider": "str | ProviderWish | None",
        "confirmation": "str | None",
        "confirm": "ConfirmPolicy | None",
        "dry_run": "bool | None",
        "idempotency_key": "str | None",
    },
    total=False,
)
# The envelope of every execution.
Execution = TypedDict(
    "Execution",
    {
        "id": "str",
        "tool": "str",
        "provider": "str",
        "status": "ExecutionStatus",
        "data": "Any",
        "result": "Any",
        "warnings": "list[ToolWarning]",
        "usage": "dict[str, Any]",
        "error": "ExecutionError",
        "replayed": "bool",
        "confirmation": "ToolConfirmation",
        "next": "Any",
        "undo": "ToolUndo",
        "routing": "Any",
        "steps": "list[Any]",
        "attribution": "str",
    },
    total=False,
)
ExecutionEffect = Union["Literal[\"read\", \"write\", \"destructive\", \"money\"]"]
ExecutionEntry = TypedDict(
    "ExecutionEntry",
    {
        "id": "str",
        "tool": "str",
        "effect": "ExecutionEffect",
        "status": "ExecutionState",
        "created_at": "str",
        "ended_at": "str | None",
        "cost": "float",
        "key_hash": "str",
        "idempotency_key": "str | None",
        "parent": "str | None",
        "surface": "str",
    },
    total=False,
)
ExecutionError = TypedDict(
    "ExecutionError",
    {
        "code": "str",
        "class": "str",
        "message": "str",
        "param": "str",
        "provider_status": "int",
        "provider_code": "str",
        "retry_after": "int",
        "details": "Any",
    },
    total=False,
)
ExecutionState = Union["Literal[\"sent\", \"running\", \"succeeded\", \"failed\", \"failed_clean\", \"outcome_unknown\", \"unknown\", \"cancelled\"]"]
ExecutionStatus = Union["Literal[\"succeeded\", \"failed\", \"outcome_unknown\", \"running\", \"confirmation_required\", \"cancelled\", \"dry_run\", \"compensated\", \"partially_compensated\", \"compensation_failed\"]"]
FinishReason = Union["Literal[\"stop\", \"length\", \"tool_calls\", \"content_filter\", \"error\"]"]
# What is on record of a request.
Generation = TypedDict(
    "Generation",
    {
        "id": "str",
        "request_id": "str | None",
        "upstream_id": "str | None",
        "created_at": "str",
        "model": "str | None",
        "provider_name": "str | None",
        "router": "str | None",
        "preset_id": "str | None",
        "session_id": "str | None",
        "external_user": "str | None",
        "app_id": "Any",
        "origin": "str",
        "http_referer": "str | None",
        "app_title": "str | None",
        "user_agent": "str | None",
        "api_type": "str",
        "streamed": "bool",
        "cancelled": "bool",
        "status": "str",
        "finish_reason": "str | None",
        "native_finish_reason": "str | None",
        "tokens_prompt": "int",
        "tokens_completion": "int",
        "native_tokens_prompt": "int",
        "native_tokens_completion": "int",
        "native_tokens_reasoning": "int",
        "native_tokens_cached": "int",
        "native_tokens_cache_write": "int",
        "native_tokens_completion_images": "int",
        "usage_estimated": "bool",
        "latency": "int | None",
        "generation_time": "int | None",
        "is_byok": "bool",
        "error": "Any",
        "charge": "Charge | None",
        "corrections": "list[dict[str, Any]]",
        "num_search_results": "int | None",
        "num_web_searches": "int | None",
        "num_fetches": "int | None",
        "response_cache_source_id": "str | None",
        "guardrails": "dict[str, dict[str, Any]]",
        "provider_responses": "list[ProviderResponse]",
        "service_tier": "str | None",
        "total_cost": "float",
        "usage": "float",
        "cache_discount": "float | None",
        "upstream_inference_cost": "float | None",
        "api_key_id": "Any",
        "creator_user_id": "str | None",
        "workspace_id": "str | None",
        "surface": "str | None",
        "data_region": "str | None",
        "cost_explained": "Any",
    },
    total=False,
)
ImageEndpoint = TypedDict(
    "ImageEndpoint",
    {
        "provider_name": "str",
        "provider_slug": "str",
        "provider_tag": "str",
        "supported_parameters": "dict[str, ImageParameter]",
        "allowed_passthrough_parameters": "list[str]",
        "supports_streaming": "bool",
        "pricing": "list[UnitPrice]",
    },
    total=False,
)
ImageModel = TypedDict(
    "ImageModel",
    {
        "id": "str",
        "name": "str",
        "created": "int",
        "description": "str | None",
        "architecture": "dict[str, Any]",
        "supported_parameters": "dict[str, ImageParameter]",
        "supports_streaming": "bool",
        "endpoints": "str",
    },
    total=False,
)
# What an endpoint takes in one field.
ImageParameter = TypedDict(
    "ImageParameter",
    {
        "type": "Literal[\"enum\", \"range\", \"integer\", \"boolean\", \"array\", \"unknown\"]",
        "values": "list[str]",
        "min": "int",
        "max": "int",
    },
    total=False,
)
Images = TypedDict(
    "Images",
    {
        "id": "str",
        "created": "int",
        "model": "str",
        "provider": "str",
        "data": "list[dict[str, Any]]",
        "usage": "ImagesUsage",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
ImagesEvent = TypedDict(
    "ImagesEvent",
    {
        "type": "Literal[\"image_generation.partial_image\", \"image_generation.completed\", \"error\"]",
        "b64_json": "str",
        "url": "str",
        "media_type": "str",
        "partial_image_index": "int",
        "created_at": "int",
        "usage": "ImagesUsage",
    },
    total=False,
)
ImagesRequest = TypedDict(
    "ImagesRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "prompt": "str",
        "n": "int | None",
        "size": "str | None",
        "resolution": "Literal[\"auto\", \"512\", \"768\", \"1K\", \"1.5K\", \"2K\", \"4K\", None]",
        "aspect_ratio": "str | None",
        "quality": "Literal[\"auto\", \"low\", \"medium\", \"high\", \"xhigh\", \"max\", \"standard\", \"hd\", None]",
        "background": "Literal[\"auto\", \"transparent\", \"opaque\", None]",
        "output_format": "Literal[\"png\", \"jpeg\", \"jpg\", \"webp\", \"svg\", None]",
        "output_compression": "int | None",
        "input_references": "list[dict[str, Any]] | None",
        "seed": "int | None",
        "stream": "bool | None",
        "partial_images": "int | None",
        "response_format": "Literal[\"b64_json\", \"url\", None]",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "user": "str | None",
        "session_id": "str | None",
    },
    total=False,
)
ImagesUsage = TypedDict(
    "ImagesUsage",
    {
        "prompt_tokens": "int",
        "completion_tokens": "int",
        "total_tokens": "int",
        "input_tokens": "int",
        "output_tokens": "int",
        "cost": "float",
        "is_byok": "bool",
        "cost_details": "CostDetails",
        "completion_tokens_details": "dict[str, Any]",
    },
    total=False,
)
# A JSON Schema.
JsonSchema = Union["dict[str, Any]"]
# A budget that a key is under.
KeyBudget = TypedDict(
    "KeyBudget",
    {
        "budget_id": "str",
        "guardrail_id": "str | None",
        "scope": "Literal[\"workspace\", \"workspace_default_key\", \"workspace_default_member\", \"api_key\", \"member\", \"key_limit\"]",
        "limit_usd": "float",
        "spend_usd": "float",
        "remaining_usd": "float",
        "reset_interval": "Reset | None",
        "resets_at": "str | None",
        "include_byok": "bool",
    },
    total=False,
)
# The key that asks, with all that bounds it.
KeyState = TypedDict(
    "KeyState",
    {
        "hash": "str",
        "name": "str",
        "label": "str",
        "disabled": "bool",
        "limit": "float | None",
        "limit_remaining": "float | None",
        "limit_reset": "Reset | None",
        "usage": "float",
        "usage_daily": "float",
        "usage_weekly": "float",
        "usage_monthly": "float",
        "byok_usage": "float",
        "byok_usage_daily": "float",
        "byok_usage_weekly": "float",
        "byok_usage_monthly": "float",
        "include_byok_in_limit": "bool",
        "requests_per_minute": "Pace",
        "tokens_per_minute": "Pace",
        "concurrent_requests": "Pace",
        "is_management_key": "bool",
        "is_provisioning_key": "bool",
        "creator_user_id": "str | None",
        "external_user": "str | None",
        "external_api_key": "str | None",
        "workspace_id": "str",
        "created_at": "str",
        "updated_at": "str",
        "last_used_at": "str | None",
        "expires_at": "str | None",
        "is_free_tier": "bool",
        "organization_id": "str | None",
        "allowed_data_regions": "list[str]",
        "free_model_daily_requests": "dict[str, Any]",
        "rate_limit": "dict[str, Any]",
        "budgets": "list[KeyBudget]",
        "effective_budget": "KeyBudget | None",
    },
    total=False,
)
Measured = TypedDict(
    "Measured",
    {
        "p50": "float",
        "p75": "float",
        "p90": "float",
        "p99": "float",
    },
    total=False,
)
# An https: address, or a data: address in base64.
MediaUrl = Union["str"]
Message = TypedDict(
    "Message",
    {
        "id": "str",
        "type": "Literal[\"message\"]",
        "role": "Literal[\"assistant\"]",
        "model": "str",
        "provider": "str",
        "content": "list[dict[str, Any]]",
        "stop_reason": "str | None",
        "stop_sequence": "str | None",
        "stop_details": "Any",
        "usage": "MessagesUsage",
        "container": "Any",
        "context_management": "Any",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
# What the model said before: blocks go back as they came, unchanged.
MessagesAssistantBlock = Union["MessagesTextBlock | MessagesImageBlock | dict[str, Any]"]
# One event of a stream, as Anthropic's API has them: `message_start`, `content_block_start`, `content_block_delta`, `content_block_stop`, `message_delta`, `message_stop`, `ping`, `error`.
MessagesEvent = TypedDict(
    "MessagesEvent",
    {
        "type": "str",
    },
    total=False,
)
MessagesFormat = TypedDict(
    "MessagesFormat",
    {
        "type": "Literal[\"json_schema\"]",
        "schema": "JsonSchema",
    },
    total=False,
)
MessagesImageBlock = TypedDict(
    "MessagesImageBlock",
    {
        "type": "Literal[\"image\"]",
        "source": "MessagesSource",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
MessagesMessage = Union["dict[str, Any]"]
# A conversation in Anthropic's words. Fields that are not named here go on to providers that speak them.
MessagesRequest = TypedDict(
    "MessagesRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "fallbacks": "list[dict[str, Any]] | None",
        "messages": "list[MessagesMessage]",
        "system": "str | list[MessagesTextBlock] | None",
        "max_tokens": "int | None",
        "stream": "bool | None",
        "temperature": "float | None",
        "top_p": "float | None",
        "top_k": "int | None",
        "stop_sequences": "list[str] | None",
        "tools": "list[MessagesTool] | None",
        "tool_choice": "dict[str, Any] | None",
        "thinking": "dict[str, Any] | None",
        "output_config": "dict[str, Any] | None",
        "output_format": "MessagesFormat | None",
        "metadata": "dict[str, Any] | None",
        "service_tier": "str | None",
        "cache_control": "CacheControl | None",
        "container": "Any",
        "mcp_servers": "list[Any] | None",
        "inference_geo": "Literal[\"global\", None]",
        "thread": "None",
        "user": "str | None",
        "session_id": "str | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
    },
    total=False,
)
MessagesSource = Union["dict[str, Any]"]
MessagesTextBlock = TypedDict(
    "MessagesTextBlock",
    {
        "type": "Literal[\"text\"]",
        "text": "str",
        "citations": "Any",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
MessagesTool = Union["dict[str, Any]"]
MessagesUsage = TypedDict(
    "MessagesUsage",
    {
        "input_tokens": "int",
        "cache_creation_input_tokens": "int",
        "cache_read_input_tokens": "int",
        "cache_creation": "dict[str, Any]",
        "output_tokens": "int",
        "output_tokens_details": "dict[str, Any]",
        "server_tool_use": "Any",
        "service_tier": "str | None",
        "cost": "float",
        "is_byok": "bool",
        "cost_details": "CostDetails",
        "server_tool_use_details": "ServerToolUse",
        "parts": "list[UsagePart]",
    },
    total=False,
)
# What a user says, and what tools answered: the type says which fields there are.
MessagesUserBlock = Union["MessagesTextBlock | MessagesImageBlock | dict[str, Any]"]
Metadata = Union["dict[str, str]"]
Modality = Union["Literal[\"text\", \"image\", \"file\", \"audio\", \"video\", \"embeddings\", \"rerank\", \"speech\", \"transcription\"]"]
Model = TypedDict(
    "Model",
    {
        "id": "str",
        "canonical_slug": "str",
        "hugging_face_id": "str | None",
        "name": "str",
        "created": "int",
        "description": "str | None",
        "context_length": "int",
        "architecture": "Architecture",
        "pricing": "Pricing | None",
        "top_provider": "dict[str, Any]",
        "per_request_limits": "None",
        "supported_parameters": "list[str]",
        "default_parameters": "None",
        "supported_voices": "None",
        "knowledge_cutoff": "str | None",
        "expiration_date": "None",
        "links": "dict[str, Any]",
        "reasoning": "dict[str, Any]",
    },
    total=False,
)
ModelEndpoints = TypedDict(
    "ModelEndpoints",
    {
        "id": "str",
        "name": "str",
        "created": "int",
        "description": "str | None",
        "architecture": "Architecture",
        "endpoints": "list[Endpoint]",
    },
    total=False,
)
ModelList = TypedDict(
    "ModelList",
    {
        "data": "list[Model]",
        "total_count": "int",
        "links": "dict[str, Any]",
    },
    total=False,
)
NewAppCode = TypedDict(
    "NewAppCode",
    {
        "callback_url": "str",
        "code_challenge": "str | None",
        "code_challenge_method": "Literal[\"S256\", \"plain\", None]",
        "limit": "Dollars | None",
        "usage_limit_type": "Reset | None",
        "expires_at": "str | None",
        "key_label": "str | None",
        "workspace_id": "None",
    },
    total=False,
)
# A limit of pace; null is what the deployment says.
Pace = Union["Literal[\"unlimited\"] | int | None"]
Percentiles = TypedDict(
    "Percentiles",
    {
        "p50": "float | None",
        "p75": "float | None",
        "p90": "float | None",
        "p99": "float | None",
    },
    total=False,
)
PlannedEndpoint = TypedDict(
    "PlannedEndpoint",
    {
        "provider": "str",
        "tag": "str",
        "rank": "int | None",
        "excluded_by": "str",
        "is_byok": "bool",
    },
    total=False,
)
# A configuration of requests under a name: a request names it as `@preset/<slug>`.
Preset = TypedDict(
    "Preset",
    {
        "id": "str",
        "slug": "str",
        "name": "str",
        "description": "str | None",
        "status": "Literal[\"active\", \"disabled\"]",
        "status_updated_at": "None",
        "creator_user_id": "None",
        "workspace_id": "None",
        "designated_version_id": "str",
        "designated_version": "PresetVersion",
        "created_at": "str",
        "updated_at": "str",
    },
    total=False,
)
PresetVersion = TypedDict(
    "PresetVersion",
    {
        "id": "str",
        "version": "int",
        "preset_id": "str",
        "creator_id": "None",
        "system_prompt": "str | None",
        "config": "dict[str, Any]",
        "created_at": "str",
        "updated_at": "str",
    },
    total=False,
)
# Dollars per token as exact decimal text.
Pricing = TypedDict(
    "Pricing",
    {
        "prompt": "str",
        "completion": "str",
        "request": "str",
        "web_search": "str",
        "image_output": "str",
        "audio": "str",
        "audio_output": "str",
        "internal_reasoning": "str",
        "input_cache_read": "str",
        "input_cache_write": "str",
        "input_cache_write_1h": "str",
        "discount": "float",
        "overrides": "list[dict[str, Any]]",
        "units": "list[UnitPrice]",
    },
    total=False,
)
Provider = TypedDict(
    "Provider",
    {
        "name": "str",
        "slug": "str",
        "privacy_policy_url": "str | None",
        "terms_of_service_url": "str | None",
        "status_page_url": "str | None",
        "headquarters": "str | None",
        "datacenters": "None",
    },
    total=False,
)
# Where to look, in which order, at what price: the `provider` object of a request.
ProviderPreferences = TypedDict(
    "ProviderPreferences",
    {
        "order": "list[str] | None",
        "allow_fallbacks": "bool | None",
        "only": "list[str] | None",
        "ignore": "list[str] | None",
        "require_parameters": "bool | None",
        "data_collection": "Literal[\"allow\", \"deny\", None]",
        "zdr": "bool | None",
        "enforce_distillable_text": "bool | None",
        "quantizations": "list[Quantization] | None",
        "sort": "SortBy | dict[str, Any] | None",
        "max_price": "dict[str, Any] | None",
        "preferred_min_throughput": "float | Percentiles | None",
        "preferred_max_latency": "float | Percentiles | None",
        "hedge": "bool | dict[str, Any] | None",
        "continue": "bool | None",
        "options": "dict[str, dict[str, Any]] | None",
    },
    total=False,
)
ProviderResponse = TypedDict(
    "ProviderResponse",
    {
        "provider_name": "str",
        "endpoint_id": "str",
        "model_permaslug": "str",
        "status": "int | None",
        "latency": "int | None",
        "id": "str | None",
        "error": "Any",
        "is_byok": "bool",
        "routed_service_tier": "str | None",
        "service_tier": "str | None",
        "hedge_cost": "str | None",
        "part": "dict[str, Any] | None",
    },
    total=False,
)
ProviderWish = TypedDict(
    "ProviderWish",
    {
        "prefer": "str | list[str]",
        "allow_fallbacks": "bool",
        "max_price": "float | None",
        "max_latency_ms": "int | None",
    },
    total=False,
)
Quantization = Union["Literal[\"int4\", \"int8\", \"fp4\", \"mxfp4\", \"nvfp4\", \"fp6\", \"fp8\", \"mxfp8\", \"fp16\", \"bf16\", \"fp32\", \"unknown\"]"]
RankedApp = TypedDict(
    "RankedApp",
    {
        "rank": "int",
        "app_id": "int | str",
        "app": "str",
        "app_name": "str",
        "total_tokens": "str",
        "total_requests": "int",
    },
    total=False,
)
RankedModel = TypedDict(
    "RankedModel",
    {
        "rank": "int",
        "model": "str",
        "model_permaslug": "str",
        "total_tokens": "str",
        "total_requests": "int",
    },
    total=False,
)
RankingMeta = TypedDict(
    "RankingMeta",
    {
        "as_of": "str | None",
        "start_date": "str",
        "end_date": "str",
        "period": "Literal[\"day\", \"week\", \"month\"]",
    },
    total=False,
)
Reasoning = TypedDict(
    "Reasoning",
    {
        "effort": "Effort | None",
        "max_tokens": "int | None",
        "exclude": "bool | None",
        "enabled": "bool | None",
        "summary": "str | None",
    },
    total=False,
)
# A piece of reasoning. Send them back as they came.
ReasoningDetail = TypedDict(
    "ReasoningDetail",
    {
        "type": "str",
        "id": "str | None",
        "format": "str | None",
        "index": "int | None",
        "text": "str | None",
        "summary": "str | None",
        "data": "str | None",
        "signature": "str | None",
    },
    total=False,
)
Rerank = TypedDict(
    "Rerank",
    {
        "id": "str",
        "model": "str",
        "provider": "str",
        "results": "list[dict[str, Any]]",
        "usage": "dict[str, Any]",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
RerankRequest = TypedDict(
    "RerankRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "query": "str",
        "documents": "list[str | dict[str, Any]]",
        "top_n": "int | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "user": "str | None",
        "session_id": "str | None",
    },
    total=False,
)
# How often a limit starts again.
Reset = Union["Literal[\"daily\"] | Literal[\"weekly\"] | Literal[\"monthly\"]"]
Response = TypedDict(
    "Response",
    {
        "id": "str",
        "object": "Literal[\"response\"]",
        "created_at": "int",
        "status": "Literal[\"completed\", \"incomplete\", \"failed\", \"in_progress\"]",
        "completed_at": "int | None",
        "model": "str",
        "provider": "str",
        "output": "list[dict[str, Any]]",
        "error": "Any",
        "incomplete_details": "dict[str, Any] | None",
        "usage": "ResponsesUsage | None",
        "openrouter_metadata": "RoutingMetadata",
    },
    total=False,
)
ResponseFormat = Union["dict[str, Any]"]
# One event of a stream, as OpenAI's API has them.
ResponsesEvent = TypedDict(
    "ResponsesEvent",
    {
        "type": "str",
        "sequence_number": "int",
    },
    total=False,
)
ResponsesFormat = Union["dict[str, Any]"]
ResponsesFunction = TypedDict(
    "ResponsesFunction",
    {
        "type": "Literal[\"function\"]",
        "name": "str",
        "description": "str | None",
        "parameters": "JsonSchema | None",
        "strict": "bool | None",
        "cache_control": "CacheControl | None",
    },
    total=False,
)
ResponsesInputText = TypedDict(
    "ResponsesInputText",
    {
        "type": "Literal[\"input_text\"]",
        "text": "str",
        "cache_control": "CacheControl | None",
        "prompt_cache_breakpoint": "dict[str, Any] | None",
    },
    total=False,
)
# An item of the conversation. The items of an answer go back as they came.
ResponsesItem = Union["dict[str, Any]"]
ResponsesOutputText = Union["dict[str, Any]"]
ResponsesPart = Union["ResponsesInputText | dict[str, Any]"]
# A request in the words of OpenAI's Responses. Nothing is stored: send the whole conversation as input.
ResponsesRequest = TypedDict(
    "ResponsesRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "input": "str | list[ResponsesItem]",
        "instructions": "str | None",
        "stream": "bool | None",
        "max_output_tokens": "int | None",
        "temperature": "float | None",
        "top_p": "float | None",
        "top_k": "int | None",
        "frequency_penalty": "float | None",
        "presence_penalty": "float | None",
        "top_logprobs": "int | None",
        "stop": "str | list[str] | None",
        "tools": "list[ResponsesTool] | None",
        "tool_choice": "Literal[\"auto\", \"none\", \"required\"] | dict[str, Any] | None",
        "parallel_tool_calls": "bool | None",
        "reasoning": "Reasoning | None",
        "text": "dict[str, Any] | None",
        "include": "list[str] | None",
        "cache_control": "CacheControl | None",
        "modalities": "list[str] | None",
        "service_tier": "str | None",
        "user": "str | None",
        "safety_identifier": "str | None",
        "session_id": "str | None",
        "prompt_cache_key": "str | None",
        "metadata": "Metadata | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "store": "Literal[False] | None",
        "background": "Literal[False] | None",
        "previous_response_id": "None",
        "conversation": "None",
        "prompt": "None",
    },
    total=False,
)
ResponsesTool = Union["ResponsesFunction | dict[str, Any] | CatalogTool"]
ResponsesUsage = TypedDict(
    "ResponsesUsage",
    {
        "input_tokens": "int",
        "input_tokens_details": "dict[str, Any]",
        "output_tokens": "int",
        "output_tokens_details": "dict[str, Any]",
        "total_tokens": "int",
        "cost": "float",
        "is_byok": "bool",
        "cost_details": "CostDetails",
        "server_tool_use_details": "ServerToolUse",
        "parts": "list[UsagePart]",
    },
    total=False,
)
# How a chat completion would be routed now.
RoutePlan = TypedDict(
    "RoutePlan",
    {
        "requested": "str",
        "strategy": "Literal[\"direct\", \"alias\", \"latest\", \"fallback\", \"free\", \"auto\"]",
        "sort": "SortBy | None",
        "partition": "Literal[\"none\", \"model\"]",
        "prompt_tokens": "int",
        "seed": "str",
        "attempts": "list[dict[str, Any]]",
        "models": "list[dict[str, Any]]",
        "statistics_gathered_at": "int | None",
    },
    total=False,
)
RouteRequest = TypedDict(
    "RouteRequest",
    {
        "intent": "str",
        "input": "dict[str, Any] | None",
        "tools": "list[str]",
        "fill": "bool",
    },
    total=False,
)
# How the request was routed, where `X-OpenRouter-Metadata: enabled` asks for it.
RoutingMetadata = TypedDict(
    "RoutingMetadata",
    {
        "requested": "str",
        "strategy": "Literal[\"direct\", \"alias\", \"latest\", \"fallback\", \"free\", \"auto\"]",
        "region": "str | None",
        "summary": "str",
        "attempt": "int",
        "is_byok": "bool",
        "endpoints": "dict[str, Any]",
        "attempts": "list[dict[str, Any]]",
        "params": "dict[str, Any]",
        "generation_time": "int | None",
    },
    total=False,
)
ServerToolType = Union["Literal[\"openrouter:web_search\", \"openrouter:web_fetch\", \"openrouter:datetime\"]"]
ServerToolUse = TypedDict(
    "ServerToolUse",
    {
        "web_search_requests": "int",
        "web_fetch_requests": "int",
        "tool_calls_requested": "int",
        "tool_calls_executed": "int",
    },
    total=False,
)
# A tool that the gateway runs, or has the provider run; in OpenAI's and Anthropic's own words too, such as `web_search_preview`.
ServerToolWord = Union["ServerToolType | str"]
SortBy = Union["Literal[\"price\", \"throughput\", \"latency\", \"exacto\"]"]
SpeechFormat = Union["Literal[\"pcm\", \"mp3\", \"wav\", \"opus\", \"aac\", \"flac\"]"]
SpeechRequest = TypedDict(
    "SpeechRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "input": "str | list[dict[str, Any]]",
        "voice": "str | dict[str, Any] | None",
        "response_format": "SpeechFormat | None",
        "speed": "float | None",
        "instructions": "str | None",
        "input_references": "list[dict[str, Any]] | None",
        "stream_format": "Literal[\"audio\", None]",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "user": "str | None",
        "session_id": "str | None",
    },
    total=False,
)
# One operation of a provider. `operations` is that one, as other catalogs nest them.
Tool = TypedDict(
    "Tool",
    {
        "id": "str",
        "object": "Literal[\"tool\"]",
        "slug": "str",
        "wire_name": "str",
        "name": "str",
        "description": "str",
        "provider": "str",
        "provider_name": "str",
        "source": "Literal[\"shipped\", \"openapi\", \"mcp\"]",
        "category": "str",
        "super_category": "str",
        "sub_category": "str | None",
        "capability": "str | None",
        "effect": "ExecutionEffect",
        "offerability": "ToolOfferability",
        "gateway_enabled": "bool",
        "status": "Literal[\"active\", \"inactive\"]",
        "health_status": "Literal[\"healthy\", \"degraded\", \"down\", \"unknown\"]",
        "rating": "float | None",
        "protocols": "list[str]",
        "price_per_call": "float",
        "cost": "float",
        "pricing": "ToolPricing",
        "operations": "list[dict[str, Any]]",
        "undo": "dict[str, Any] | None",
        "result_kind": "str | None",
        "input_schema": "Any",
        "output_schema": "Any",
        "docs": "str | None",
        "website": "str | None",
        "attribution": "str | None",
        "intents": "list[str]",
        "price_source": "str | None",
        "retry": "dict[str, Any]",
        "costs_money": "bool",
        "is_paged": "bool",
        "is_job": "bool",
        "timeout_ms": "int",
        "key_fields": "list[str]",
        "beliefs": "Any",
    },
    total=False,
)
ToolCategory = TypedDict(
    "ToolCategory",
    {
        "id": "str",
        "name": "str",
        "tools": "int",
        "providers": "list[str]",
        "capabilities": "list[str]",
    },
    total=False,
)
ToolConfirmation = TypedDict(
    "ToolConfirmation",
    {
        "token": "str",
        "expires_at": "int",
        "summary": "str",
        "effects": "list[str]",
        "cost_ceiling": "float",
        "reason": "str",
    },
    total=False,
)
ToolFormat = Union["Literal[\"openai\", \"openai-responses\", \"anthropic\", \"gemini\", \"mcp\"]"]
# A page of tools; with `format` functions as the request of that API takes them in `tools`.
ToolList = TypedDict(
    "ToolList",
    {
        "object": "Literal[\"list\"]",
        "data": "list[Tool | dict[str, Any]]",
        "total_count": "int",
        "has_more": "bool",
        "limit": "int",
        "offset": "int",
        "version": "str",
        "format": "ToolFormat",
        "meta": "bool",
    },
    total=False,
)
# Whether a tool can be called, and with whose key: the operator's or none, the account's own, one that the account would have to bring, or not here.
ToolOfferability = Union["Literal[\"native\", \"customer_byok\", \"byok_required\", \"unavailable\"]"]
# Dollars; what is nothing is left out.
ToolPricing = TypedDict(
    "ToolPricing",
    {
        "currency": "Literal[\"USD\"]",
        "per_call": "float",
        "per_unit": "float",
        "per_character": "float",
        "hold": "float",
        "unit": "dict[str, Any]",
        "as_the_provider_states": "Literal[True]",
        "depends_on_input": "Literal[True]",
    },
    total=False,
)
ToolRoute = TypedDict(
    "ToolRoute",
    {
        "intent": "str",
        "tool": "str | None",
        "abstained": "bool",
        "reason": "str",
        "confidence": "float",
        "relevance": "float",
        "thresholds": "dict[str, Any]",
        "remembered_intents": "int",
        "named_providers": "list[str]",
        "meaning": "dict[str, Any] | None",
        "candidates": "list[dict[str, Any]]",
        "input": "dict[str, Any] | None",
        "filled": "dict[str, Any]",
        "input_schema": "dict[str, Any]",
        "needs_confirmation": "bool",
    },
    total=False,
)
# The results, in the form in which the calls came.
ToolRun = TypedDict(
    "ToolRun",
    {
        "object": "Literal[\"tool_run\"]",
        "messages": "list[dict[str, Any]]",
        "output": "list[dict[str, Any]]",
        "executions": "list[Execution]",
        "confirmations": "list[dict[str, Any]]",
        "unanswered": "list[str]",
        "usage": "dict[str, Any]",
    },
    total=False,
)
# A model's answer with calls: one of the first seven fields.
ToolRunRequest = TypedDict(
    "ToolRunRequest",
    {
        "message": "dict[str, Any]",
        "messages": "list[dict[str, Any]]",
        "choices": "list[dict[str, Any]]",
        "tool_calls": "list[dict[str, Any]]",
        "output": "list[dict[str, Any]]",
        "input": "list[dict[str, Any]]",
        "content": "list[dict[str, Any]] | str | None",
        "confirmations": "dict[str, str] | None",
        "confirm": "ConfirmPolicy | None",
        "confirm_by": "Literal[\"client\", \"model\", None]",
        "tools": "list[str] | None",
        "skip_unknown": "bool | None",
    },
    total=False,
)
ToolUndo = TypedDict(
    "ToolUndo",
    {
        "tool": "str",
        "input": "Any",
        "class": "Literal[\"clean\", \"partial\"]",
        "note": "str",
    },
    total=False,
)
ToolUsage = TypedDict(
    "ToolUsage",
    {
        "id": "str",
        "request_id": "str | None",
        "tool": "str",
        "provider": "str | None",
        "status": "str",
        "error": "str | None",
        "cost": "float | None",
        "byok": "bool",
        "latency_ms": "int | None",
        "surface": "str | None",
        "key_hash": "str",
        "created_at": "str",
    },
    total=False,
)
ToolWarning = TypedDict(
    "ToolWarning",
    {
        "code": "str",
        "message": "str",
        "item": "Any",
    },
    total=False,
)
Transcription = TypedDict(
    "Transcription",
    {
        "text": "str",
        "usage": "dict[str, Any]",
    },
    total=False,
)
TranscriptionEvent = TypedDict(
    "TranscriptionEvent",
    {
        "type": "Literal[\"transcript.text.delta\", \"transcript.text.done\", \"error\"]",
        "delta": "str",
        "text": "str",
        "usage": "Any",
    },
    total=False,
)
# The form that OpenAI's SDKs send.
TranscriptionForm = TypedDict(
    "TranscriptionForm",
    {
        "model": "str",
        "file": "str",
        "language": "str",
        "temperature": "float",
        "response_format": "Literal[\"json\", \"verbose_json\"]",
        "timestamp_granularities": "list[Literal[\"word\", \"segment\"]]",
        "diarize": "bool",
        "keyterms": "list[str]",
        "stream": "bool",
        "source_url": "str",
        "provider": "str",
        "max_cost": "str",
        "user": "str",
        "session_id": "str",
    },
    total=False,
)
TranscriptionRequest = TypedDict(
    "TranscriptionRequest",
    {
        "model": "str | None",
        "models": "list[str] | None",
        "input_audio": "dict[str, Any]",
        "language": "str | None",
        "temperature": "float | None",
        "response_format": "Literal[\"json\", \"verbose_json\", None]",
        "timestamp_granularities": "list[Literal[\"word\", \"segment\"]] | None",
        "diarize": "bool | None",
        "keyterms": "list[str] | None",
        "stream": "bool | None",
        "provider": "ProviderPreferences | None",
        "max_cost": "Dollars | None",
        "trace": "Any",
        "user": "str | None",
        "session_id": "str | None",
    },
    total=False,
)
UnitPrice = TypedDict(
    "UnitPrice",
    {
        "billable": "str",
        "unit": "str",
        "cost_usd": "str | float",
        "variant": "str",
    },
    total=False,
)
# Who wrote which part, where several providers wrote one answer.
UsagePart = TypedDict(
    "UsagePart",
    {
        "provider": "str",
        "prompt_tokens": "int",
        "completion_tokens": "int",
        "cost": "float",
    },
    total=False,
)
