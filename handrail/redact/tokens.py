"""Keys and tokens that can be told by their own form, service by service.

The forms are what the services document or what their keys begin with today; a service may change them at any time.
"""

from __future__ import annotations

from handrail.redact.kind import Kind, matches, token

# No possessive quantifiers here: before 3.11.5 Python matches some of them wrongly (python/cpython issue 106052).
_PEM_BODY = r"[^-\x00]*(?:-(?!----)[^-\x00]*)*"

TOKENS: tuple[Kind, ...] = (
    token(
        "PRIVATE_KEY",
        r"-----BEGIN [A-Z0-9 ]{0,60}PRIVATE KEY[A-Z0-9 ]{0,20}-----"
        + _PEM_BODY
        + r"(?:-----END [A-Z0-9 ]{0,60}PRIVATE KEY[A-Z0-9 ]{0,20}-----)?",
        "private key",
    ),
    token("PUTTY_KEY", r"Private-Lines: ?\d{1,4}\s{1,3}[A-Za-z0-9+/=\s]{40,}", "private-lines"),
    token("AGE_KEY", r"(?i)AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{40,}", "age-secret-key"),
    token("ONEPASSWORD_TOKEN", r"ops_eyJ[\w-]{30,}", "ops_eyj"),
    # Three parts when signed, five when encrypted; the header alone is `{"…` in base64 and is taken as well.
    token("JWT", r"eyJ[\w-]{14,}(?:\.[\w-]*){0,4}", "eyj"),
    # AI
    token("ANTHROPIC_KEY", r"sk-ant-[\w-]{16,}", "sk-ant-"),
    token("OPENROUTER_KEY", r"sk-or-[\w-]{16,}", "sk-or-"),
    token("LANGFUSE_KEY", r"sk-lf-[\w-]{16,}", "sk-lf-"),
    token(
        "OPENAI_KEY",
        r"sk-(?:proj|svcacct|admin|None|service)-[\w-]{16,}|sk-(?=[A-Za-z0-9]{0,47}\d)[A-Za-z0-9]{32,}",
        "sk-",
    ),
    token("GROQ_KEY", r"gsk_[A-Za-z0-9]{20,}", "gsk_"),
    token("XAI_KEY", r"xai-[A-Za-z0-9]{20,}", "xai-"),
    token("PERPLEXITY_KEY", r"pplx-[A-Za-z0-9]{20,}", "pplx-"),
    token("FIREWORKS_KEY", r"fw_[A-Za-z0-9]{20,}", "fw_"),
    token("TOGETHER_KEY", r"tgp_v1_[\w-]{20,}", "tgp_v1_"),
    token("ELEVENLABS_KEY", r"sk_[0-9a-f]{40,}", "sk_"),
    token("LANGSMITH_KEY", r"lsv2_(?:pt|sk)_[0-9a-f_]{20,}", "lsv2_"),
    token("HUGGINGFACE_TOKEN", r"hf_[A-Za-z0-9]{30,}|api_org_[A-Za-z0-9]{30,}", "hf_", "api_org_"),
    token("REPLICATE_TOKEN", r"r8_[A-Za-z0-9]{30,}", "r8_"),
    token("PINECONE_KEY", r"pcsk_[A-Za-z0-9_]{30,}", "pcsk_"),
    token("NVIDIA_KEY", r"nvapi-[\w-]{30,}", "nvapi-"),
    token("TAVILY_KEY", r"tvly-[\w-]{16,}", "tvly-"),
    token("N8N_KEY", r"n8n_api_[\w-]{16,}", "n8n_api_"),
    # Clouds
    token("AWS_ACCESS_KEY", r"(?:AKIA|ASIA|ABIA|ACCA)[0-9A-Z]{16,}", "akia", "asia", "abia", "acca"),
    token("AWS_SESSION_TOKEN", r"(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|FQoGZXIvYXdz)[\w+/=%-]{60,}", "iqojb3", "fwogz", "fqogz"),
    token("GOOGLE_API_KEY", r"AIza[\w-]{35,}", "aiza"),
    token("GOOGLE_CLIENT_SECRET", r"GOCSPX-[\w-]{20,}", "gocspx-"),
    token("GOOGLE_OAUTH_TOKEN", r"ya29\.[\w.-]{20,}", "ya29."),
    token("GOOGLE_REFRESH_TOKEN", r"1//0[\w-]{30,}", "1//0"),
    token("AZURE_STORAGE_KEY", r"[A-Za-z0-9+/]{86}==", "=="),
    token("AZURE_CLIENT_SECRET", r"[\w~.-]{3}\dQ~[\w~.-]{31,}", "q~"),
    token(
        "CLOUDFLARE_TOKEN", r"cf(?:ut|at|k|pat|oat|ort)_[\w-]{20,}", "cfut_", "cfat_", "cfk_", "cfpat", "cfoat", "cfort"
    ),
    token("CLOUDFLARE_CA_KEY", r"v1\.0-[0-9a-f]{24}-[0-9a-f]{100,}", "v1.0-"),
    token("DIGITALOCEAN_TOKEN", r"do[opr]_v1_[0-9a-f]{40,}", "_v1_"),
    token("HEROKU_KEY", r"HRKU-[\w-]{30,}", "hrku-"),
    token("FLY_TOKEN", r"fo1_[\w-]{30,}|fm[12]r?_[\w+/=-]{60,}", "fo1_", "fm1", "fm2"),
    token("NETLIFY_TOKEN", r"nf[pcoub]_[A-Za-z0-9]{30,}", "nfp_", "nfc_", "nfo_", "nfu_", "nfb_"),
    token("VERCEL_TOKEN", r"vc[pikar]_[A-Za-z0-9]{20,}", "vcp_", "vci_", "vck_", "vca_", "vcr_"),
    token("PLANETSCALE_TOKEN", r"pscale_(?:tkn|pw|oauth)_[\w.=-]{20,}", "pscale_"),
    token("SUPABASE_KEY", r"sbp_[0-9a-f]{40,}|sb_(?:secret|publishable)_[\w-]{20,}", "sbp_", "sb_"),
    token("NEON_KEY", r"napi_[a-z0-9]{40,}", "napi_"),
    token("DATABRICKS_TOKEN", r"dapi[0-9a-f]{32,}(?:-\d)?", "dapi"),
    token("TERRAFORM_TOKEN", r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{50,}", "atlasv1"),
    token("VAULT_TOKEN", r"hv[sbr]\.[\w-]{20,}", "hvs.", "hvb.", "hvr."),
    token("DOPPLER_TOKEN", r"dp\.(?:pt|st|ct|sa|scim|audit)\.(?:[\w-]{2,35}\.)?[A-Za-z0-9]{40,}", "dp."),
    token("PULUMI_TOKEN", r"pul-[0-9a-f]{40,}", "pul-"),
    token("TAILSCALE_KEY", r"tskey-[a-z]{2,16}-[\w-]{16,}", "tskey-"),
    # Code and packages
    token("GITHUB_TOKEN", r"gh[pousr]_[A-Za-z0-9_]{20,}", "ghp_", "gho_", "ghu_", "ghs_", "ghr_"),
    token("GITHUB_PAT", r"github_pat_\w{20,}", "github_pat_"),
    token(
        "GITLAB_TOKEN",
        r"gl(?:pat|dt|rt|rtr|cbt|ptt|ft|soat|agent|imt|ffct|wt)-[\w.-]{16,}|gloas-[\w-]{20,}|GR1348941[\w-]{16,}",
        "gl",
        "gr1348941",
    ),
    token("BITBUCKET_TOKEN", r"ATBB[A-Za-z0-9]{24,}", "atbb"),
    token("ATLASSIAN_TOKEN", r"AT[ACF]TT[\w=-]{20,}", "atatt", "atctt", "atftt"),
    token("NPM_TOKEN", r"npm_[A-Za-z0-9]{30,}", "npm_"),
    token("PYPI_TOKEN", r"pypi-[\w-]{40,}", "pypi-"),
    token("DOCKER_TOKEN", r"dckr_[po]at_[\w-]{20,}", "dckr_"),
    token("RUBYGEMS_KEY", r"rubygems_[0-9a-f]{40,}", "rubygems_"),
    token("POSTMAN_KEY", r"PMAK-[0-9a-f]{20,}-[0-9a-f]{30,}", "pmak-"),
    token("PREFECT_KEY", r"pn[ub]_[A-Za-z0-9]{30,}", "pnu_", "pnb_"),
    # Monitoring
    token(
        "NEWRELIC_KEY",
        r"NR(?:AK|II|JS|RA)-[\w-]{20,}|[0-9a-fA-F]{32,36}NRAL",
        "nrak-",
        "nrii-",
        "nrjs-",
        "nrra-",
        "nral",
    ),
    token("GRAFANA_TOKEN", r"glsa_\w{30,}|glc_[\w+/=-]{30,}", "glsa_", "glc_"),
    token("SENTRY_TOKEN", r"sntry[su]_[\w+/=-]{30,}", "sntr"),
    token("POSTHOG_KEY", r"ph[xc]_[A-Za-z0-9]{30,}", "phx_", "phc_"),
    # Messages
    token("SLACK_TOKEN", r"xox[abcdeoprs](?:\.xox[abp])?-[\w-]{10,}|xapp-[\w-]{20,}", "xox", "xapp-"),
    token("SLACK_WEBHOOK", r"hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/[\w/]{10,}", "hooks.slack"),
    token("DISCORD_TOKEN", r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,}", "."),
    token("DISCORD_WEBHOOK", r"discord(?:app)?\.com/api/(?:v\d{1,2}/)?webhooks/\d{1,24}/[\w-]{20,}", "/webhooks/"),
    token("TEAMS_WEBHOOK", r"webhook\.office\.com/webhookb2/[\w@/-]{30,}", "webhook.office"),
    token("TELEGRAM_TOKEN", r"\d{8,10}:AA[\w-]{32,}", ":aa"),
    token("TWILIO_KEY", r"(?:SK|AC)[0-9a-f]{32,}", "sk", "ac"),
    token("SENDGRID_KEY", r"SG\.[\w-]{16,}\.[\w-]{16,}", "sg."),
    token("MAILGUN_KEY", r"key-[0-9a-f]{32,}|[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}", "key-", "-"),
    token("MAILCHIMP_KEY", r"[0-9a-f]{32}-us\d{1,3}", "-us"),
    token("BREVO_KEY", r"x(?:key|smtp)sib-[0-9a-f]{40,}-[\w-]{10,}", "sib-"),
    token("RESEND_KEY", r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}", "re_"),
    # Payments and shops
    token("STRIPE_KEY", r"[srp]k_(?:live|test)_[A-Za-z0-9]{10,}", "k_live_", "k_test_"),
    token("STRIPE_WEBHOOK", r"whsec_[A-Za-z0-9+/=]{20,}", "whsec_"),
    token("SQUARE_TOKEN", r"EAAA[\w-]{56,}|sq0[a-z]{3}-[\w-]{20,}", "eaaa", "sq0"),
    token(
        "PAYPAL_TOKEN",
        r"access_token\$(?:production|sandbox)\$[0-9a-z]{8,32}\$[0-9a-f]{32,}|A21AA[\w-]{60,}",
        "access_token$",
        "a21aa",
    ),
    token("SHOPIFY_TOKEN", r"shp(?:at|ca|pa|ss|ua|tka)_[0-9a-fA-F]{30,}", "shp"),
    # Work
    token("LINEAR_KEY", r"lin_(?:api|oauth|wh)_[A-Za-z0-9]{20,}", "lin_"),
    token("NOTION_TOKEN", r"ntn_[A-Za-z0-9]{30,}|secret_[A-Za-z0-9]{40,}", "ntn_", "secret_"),
    token("AIRTABLE_TOKEN", r"pat[A-Za-z0-9]{14}\.[0-9a-f]{60,}", "pat"),
    token("DROPBOX_TOKEN", r"sl\.(?:u\.)?[\w-]{100,}", "sl."),
    token("FIGMA_TOKEN", r"fig[dour]h?_[\w-]{30,}", "figd_", "figo", "figu_", "figr_"),
    token("HUBSPOT_TOKEN", r"pat-(?:na|eu|ap)\d{1,2}-[0-9a-f-]{30,}", "pat-"),
    token("CLICKUP_TOKEN", r"pk_\d{5,12}_[A-Z0-9]{30,}", "pk_"),
    token("TYPEFORM_TOKEN", r"tfp_[\w-]{40,}", "tfp_"),
    token("FACEBOOK_TOKEN", r"EAA[A-Z][A-Za-z0-9]{80,}", "eaa"),
    # Last, as others are more exact: what begins like a key of no service in particular.
    Kind("API_KEY", matches(r"(?<![\w-])(?:sk|pk|rk)[-_](?:[A-Za-z]{2,12}[-_]){0,3}[\w-]{16,}"), ("k-", "k_")),
)
