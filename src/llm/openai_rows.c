/* The providers that speak OpenAI's API, and how each differs: data only.
 *
 * Sources are the vendors' own pages; where those disagree with what their servers do, the servers are right. A vendor
 * that is not here is `openai` with a URL. */
#include "llm/openai.h"
#include "llm/openai_parse.h"
#include "llm/openai_quirks.h"

#define ROW(NAME, URL, ABOUT, QUIRKS)                                                                                  \
    .name = NAME, .url = URL, .about = ABOUT, .quirks = QUIRKS, .failure = openai_failure
#define CHAT(PATH)                                                                                                     \
    .headers = openai_headers, .chat_path = PATH, .chat_body = openai_chat_body, .chat_whole = openai_chat_whole,      \
    .stream_type = "text/event-stream", .stream_create = openai_stream_create, .stream_feed = openai_stream_feed,      \
    .stream_end = openai_stream_end, .stream_destroy = openai_stream_destroy
#define EMBED(PATH)  .embed_path = PATH, .embed_body = openai_embed_body, .embed_whole = openai_embed_whole
#define RERANK(PATH) .rerank_path = PATH, .rerank_body = rerank_body, .rerank_whole = rerank_whole
#define SPEECH       .speech_path = "/audio/speech", .speech_body = openai_speech_body
#define TRANSCRIBE                                                                                                     \
    .transcribe_path = "/audio/transcriptions", .transcribe_body = openai_transcribe_body,                             \
    .transcribe_whole = openai_transcribe_whole
#define PARAMS(...)                                                                                                    \
    (const struct openai_param[])                                                                                      \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }
#define CODES(...)                                                                                                     \
    (const struct openai_code[])                                                                                       \
    {                                                                                                                  \
        __VA_ARGS__,                                                                                                   \
        {                                                                                                              \
            0                                                                                                          \
        }                                                                                                              \
    }

/* ---- openai ---- */

static const char *const openai_reasoning[] = {"o1", "o3", "o4", "gpt-5", NULL};

static const struct openai_quirks openai = {
    .reasoning_models = openai_reasoning,
    .keeps_developer = true,
    .embed_base64 = true,
};
extern const struct llm_provider provider_openai;
const struct llm_provider provider_openai = {
    ROW("openai", "https://api.openai.com/v1", "OpenAI, and every server that speaks its API", &openai),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
    SPEECH,
    TRANSCRIBE,
    .probe_path = "/models",
};

/* ---- azure ---- */

/* What runs there has a name of its own, the deployment's: the model's ID. Replies carry what the content filter found;
 * where it held something back it says so (finish content_filter, or an error with the code content_filter). */
static const struct openai_quirks azure = {
    .key_header = "api-key",
    .reasoning_models = openai_reasoning,
    .keeps_developer = true,
    .codes = CODES({"401", LLM_AUTH}, {"PermissionDenied", LLM_AUTH}, {"429", LLM_RATE}, {"RateLimitReached", LLM_RATE},
                   {"TooManyRequests", LLM_RATE}, {"DeploymentNotFound", LLM_BAD}, {"OperationNotSupported", LLM_BAD},
                   {"ResponsibleAIPolicyViolation", LLM_CONTENT}),
};
#define AZURE(PATH) "/openai/deployments/{id}" PATH
extern const struct llm_provider provider_azure;
const struct llm_provider provider_azure = {
    ROW("azure", NULL, "OpenAI's models on Azure; the URL is the resource's, the ID the deployment's name", &azure),
    CHAT(AZURE("/chat/completions")),
    EMBED(AZURE("/embeddings")),
    .query = "api-version=2024-10-21",
    .speech_path = AZURE("/audio/speech"),
    .speech_body = openai_speech_body,
    .probe_path = "/openai/models",
    .transcribe_path = AZURE("/audio/transcriptions"),
    .transcribe_body = openai_transcribe_body,
    .transcribe_whole = openai_transcribe_whole,
};

/* ---- qwen ---- */

#define QWEN_RERANK "@/api/v1/services/rerank/text-rerank/text-rerank"
static const struct openai_quirks qwen = {
    .thinking = THINK_ENABLE,
    .echo = ECHO_TOOL_TURNS,
    .keeps_cache_control = true,
    .params = PARAMS({"frequency_penalty", NULL}, {"user", NULL}),
    .codes = CODES({"InvalidApiKey", LLM_AUTH}, {"invalid_api_key", LLM_AUTH}, {"AccessDenied*", LLM_AUTH},
                   {"Arrearage", LLM_CREDIT}, {"insufficient_quota", LLM_CREDIT}, {"AllocationQuota*", LLM_CREDIT},
                   {"Throttling*", LLM_RATE}, {"limit_*", LLM_RATE}, {"DataInspectionFailed", LLM_CONTENT},
                   {"data_inspection_failed", LLM_CONTENT}, {"InvalidParameter*", LLM_BAD}, {"ModelNotFound", LLM_BAD},
                   {"ModelUnavailable", LLM_TRANSIENT}, {"ServiceUnavailable", LLM_TRANSIENT}),
};
/* qwen3-rerank speaks the usual form, these only DashScope's own. */
static const struct llm_elsewhere qwen_elsewhere[] = {
    {MODEL_RERANK, "gte-rerank", QWEN_RERANK},
    {MODEL_RERANK, "qwen3-vl-rerank", QWEN_RERANK},
    {0},
};
extern const struct llm_provider provider_qwen;
const struct llm_provider provider_qwen = {
    ROW("qwen", "https://dashscope.aliyuncs.com/compatible-mode/v1", "Qwen on Alibaba's DashScope", &qwen),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    .embed_batch = 10,
    .rerank_path = "@/compatible-api/v1/reranks",
    .rerank_body = rerank_qwen_body,
    .rerank_whole = rerank_whole,
    .elsewhere = qwen_elsewhere,
};

/* ---- glm ---- */

static const struct openai_quirks glm = {
    .thinking = THINK_TYPE,
    .echo = ECHO_TOOL_TURNS,
    .temperature_max = 1,
    .temperature_above_0 = true,
    .top_p_open = true,
    .choice_auto_only = true,
    .no_schema = true,
    .params = PARAMS({"seed", NULL}, {"frequency_penalty", NULL}, {"presence_penalty", NULL},
                     {"parallel_tool_calls", NULL}, {"user", "user_id"}),
    .codes = CODES({"1000", LLM_AUTH}, {"1001", LLM_AUTH}, {"1002", LLM_AUTH}, {"1003", LLM_AUTH}, {"1004", LLM_AUTH},
                   {"111*", LLM_CREDIT}, {"1120", LLM_TRANSIENT}, {"121*", LLM_BAD}, {"1261", LLM_BAD},
                   {"1230", LLM_TRANSIENT}, {"1234", LLM_TRANSIENT}, {"1301", LLM_CONTENT}, {"1302", LLM_RATE},
                   {"1303", LLM_RATE}, {"1304", LLM_RATE}, {"1305", LLM_RATE}, {"1308", LLM_RATE}, {"1310", LLM_RATE},
                   {"1312", LLM_TRANSIENT}),
};
extern const struct llm_provider provider_glm;
const struct llm_provider provider_glm = {
    ROW("glm", "https://open.bigmodel.cn/api/paas/v4", "GLM by Zhipu", &glm),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
};

/* ---- spark ---- */

static const struct openai_quirks spark = {
    .thinking = THINK_TYPE,
    .no_schema = true,
    .no_images = true,
    .no_stream_options = true,
    .hidden = HIDDEN_CODE,
    .params = PARAMS({"seed", NULL}, {"stop", NULL}, {"parallel_tool_calls", NULL}),
    .codes =
        CODES({"10016", LLM_AUTH}, {"11200", LLM_AUTH}, {"11201", LLM_CREDIT}, {"11202", LLM_RATE}, {"11203", LLM_RATE},
              {"10007", LLM_RATE}, {"10003", LLM_BAD}, {"10004", LLM_BAD}, {"10005", LLM_BAD}, {"10907", LLM_BAD},
              {"10013", LLM_CONTENT}, {"10014", LLM_CONTENT}, {"10019", LLM_CONTENT}, {"10021", LLM_CONTENT},
              {"10008", LLM_TRANSIENT}, {"10010", LLM_TRANSIENT}, {"10110", LLM_TRANSIENT}, {"10222", LLM_TRANSIENT}),
};
extern const struct llm_provider provider_spark;
const struct llm_provider provider_spark = {
    ROW("spark", "https://spark-api-open.xf-yun.com/v1", "Spark by iFlytek", &spark),
    CHAT("/chat/completions"),
};

/* ---- ernie ---- */

static const struct openai_quirks ernie = {
    .thinking = THINK_ENABLE,
    .temperature_max = 1,
    .temperature_above_0 = true,
    .hidden = HIDDEN_ERROR_CODE,
    .codes =
        CODES({"access_denied", LLM_AUTH}, {"invalid_iam_token", LLM_AUTH}, {"invalid_model", LLM_BAD},
              {"rpm_rate_limit_exceeded", LLM_RATE}, {"tpm_rate_limit_exceeded", LLM_RATE}, {"malformed_json", LLM_BAD},
              {"invalid_messages", LLM_BAD}, {"invalid_argument", LLM_BAD}, {"tokens_too_long", LLM_BAD},
              {"110", LLM_AUTH}, {"111", LLM_AUTH}, {"17", LLM_CREDIT}, {"18", LLM_RATE}, {"336501", LLM_RATE},
              {"336502", LLM_RATE}, {"336003", LLM_BAD}, {"336007", LLM_BAD}),
};
extern const struct llm_provider provider_ernie;
const struct llm_provider provider_ernie = {
    ROW("ernie", "https://qianfan.baidubce.com/v2", "ERNIE on Baidu's Qianfan", &ernie),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
};

/* ---- deepseek ---- */

static const struct openai_quirks deepseek = {
    .thinking = THINK_BOTH,
    .echo = ECHO_TOOL_TURNS,
    .no_schema = true,
    .no_images = true,
    .params = PARAMS({"seed", NULL}, {"parallel_tool_calls", NULL}, {"user", NULL}),
};
extern const struct llm_provider provider_deepseek;
const struct llm_provider provider_deepseek = {
    ROW("deepseek", "https://api.deepseek.com", "DeepSeek", &deepseek),
    CHAT("/chat/completions"),
};

/* ---- moonshot ---- */

static const struct openai_quirks moonshot = {
    .thinking = THINK_TYPE,
    .echo = ECHO_TOOL_TURNS,
    .temperature_max = 1,
    .choice_auto_only = true,
    .no_schema = true,
    .params = PARAMS({"seed", NULL}, {"parallel_tool_calls", NULL}, {"user", NULL}),
    .codes = CODES({"exceeded_current_quota_error", LLM_CREDIT}, {"rate_limit_reached_error", LLM_RATE},
                   {"engine_overloaded_error", LLM_TRANSIENT}, {"invalid_authentication_error", LLM_AUTH}),
};
extern const struct llm_provider provider_moonshot;
const struct llm_provider provider_moonshot = {
    ROW("moonshot", "https://api.moonshot.cn/v1", "Kimi by Moonshot", &moonshot),
    CHAT("/chat/completions"),
};

/* ---- doubao ---- */

static const struct openai_quirks doubao = {
    .thinking = THINK_BOTH,
    .echo = ECHO_TOOL_TURNS,
    .params = PARAMS({"seed", NULL}, {"user", NULL}),
    .codes = CODES({"AccountOverdueError", LLM_CREDIT}, {"SensitiveContentDetected*", LLM_CONTENT},
                   {"InputTextSensitiveContentDetected", LLM_CONTENT}, {"ServerOverloaded", LLM_TRANSIENT}),
};
extern const struct llm_provider provider_doubao;
const struct llm_provider provider_doubao = {
    ROW("doubao", "https://ark.cn-beijing.volces.com/api/v3", "Doubao on Volcengine's Ark", &doubao),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
};

/* ---- minimax ---- */

static const struct openai_quirks minimax = {
    .thinking = THINK_NONE,
    .temperature_max = 1,
    .temperature_above_0 = true,
    .no_images = true,
    .think_tags = true,
    .hidden = HIDDEN_BASE_RESP,
    .params = PARAMS({"seed", NULL}, {"stop", NULL}, {"frequency_penalty", NULL}, {"presence_penalty", NULL},
                     {"parallel_tool_calls", NULL}, {"user", NULL}),
    .codes = CODES({"1002", LLM_RATE}, {"1039", LLM_RATE}, {"1004", LLM_AUTH}, {"2049", LLM_AUTH}, {"1008", LLM_CREDIT},
                   {"1026", LLM_CONTENT}, {"1027", LLM_CONTENT}, {"2013", LLM_BAD}, {"1000", LLM_TRANSIENT},
                   {"1001", LLM_TRANSIENT}, {"1013", LLM_TRANSIENT}, {"1024", LLM_TRANSIENT}),
};
extern const struct llm_provider provider_minimax;
const struct llm_provider provider_minimax = {
    ROW("minimax", "https://api.minimax.chat/v1", "MiniMax", &minimax),
    CHAT("/text/chatcompletion_v2"),
};

/* ---- hunyuan ---- */

static const struct openai_quirks hunyuan = {
    .thinking = THINK_ENABLE,
    .no_schema = true,
    .params =
        PARAMS({"frequency_penalty", NULL}, {"presence_penalty", NULL}, {"parallel_tool_calls", NULL}, {"user", NULL}),
};
extern const struct llm_provider provider_hunyuan;
const struct llm_provider provider_hunyuan = {
    ROW("hunyuan", "https://api.hunyuan.cloud.tencent.com/v1", "Hunyuan by Tencent", &hunyuan),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
};

/* ---- siliconflow ---- */

static const struct openai_quirks siliconflow = {
    .thinking = THINK_ENABLE,
    .think_tags = true,
    .params = PARAMS({"seed", NULL}, {"user", NULL}),
};
extern const struct llm_provider provider_siliconflow;
const struct llm_provider provider_siliconflow = {
    ROW("siliconflow", "https://api.siliconflow.cn/v1", "SiliconFlow", &siliconflow),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
    SPEECH,
    TRANSCRIBE,
    .probe_path = "/models",
};

/* ---- servers that one runs oneself ---- */

static const struct openai_quirks vllm = {
    .thinking = THINK_TEMPLATE,
    .keeps_developer = true,
    .think_tags = true,
    .embed_base64 = true,
};
extern const struct llm_provider provider_vllm;
const struct llm_provider provider_vllm = {
    ROW("vllm", NULL, "vLLM; the URL ends with /v1", &vllm),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
    TRANSCRIBE,
    .probe_path = "/models",
};

static const struct openai_quirks llamacpp = {
    .thinking = THINK_TEMPLATE,
    .think_tags = true,
    .params = PARAMS({"user", NULL}),
};
extern const struct llm_provider provider_llamacpp;
const struct llm_provider provider_llamacpp = {
    ROW("llamacpp", NULL, "llama.cpp's server; the URL ends with /v1", &llamacpp),
    CHAT("/chat/completions"),
    EMBED("/embeddings"),
    RERANK("/rerank"),
};

static const struct openai_quirks tei = {
    .codes = CODES({"Unhealthy", LLM_TRANSIENT}, {"unhealthy", LLM_TRANSIENT}, {"overloaded", LLM_RATE},
                   {"Backend", LLM_TRANSIENT}, {"backend", LLM_TRANSIENT}),
};
extern const struct llm_provider provider_tei;
const struct llm_provider provider_tei = {
    ROW("tei", NULL, "text-embeddings-inference; the URL is the server's root", &tei),
    .headers = openai_headers,
    EMBED("/v1/embeddings"),
    .embed_batch = 32, /* its max_client_batch_size, unless started with another */
    .rerank_path = "/rerank",
    .rerank_body = rerank_tei_body,
    .rerank_whole = rerank_whole,
};

/* ---- jina, cohere ---- */

static const struct openai_quirks jina = {0};
extern const struct llm_provider provider_jina;
const struct llm_provider provider_jina = {
    ROW("jina", "https://api.jina.ai/v1", "Jina's embeddings and rerankers", &jina),
    .headers = openai_headers,
    EMBED("/embeddings"),
    RERANK("/rerank"),
};

static const struct openai_quirks cohere = {
    .thinking = THINK_EFFORT,
    .choice_auto_only = true,
    .no_images = true,
    .params = PARAMS({"parallel_tool_calls", NULL}, {"user", NULL}),
};
extern const struct llm_provider provider_cohere;
const struct llm_provider provider_cohere = {
    ROW("cohere", "https://api.cohere.com", "Cohere: chat by its compatible door, embeddings and rerank by its own",
        &cohere),
    CHAT("/compatibility/v1/chat/completions"),
    .embed_path = "/v2/embed",
    .embed_batch = 96,
    .embed_body = cohere_embed_body,
    .embed_whole = cohere_embed_whole,
    RERANK("/v2/rerank"),
};
