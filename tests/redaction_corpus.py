"""A made-up value of every kind that is redacted, put together when asked for, so that none stands in a file."""

from __future__ import annotations

import base64
import random
import string
from dataclasses import dataclass

LOWER, UPPER, DIGITS, HEX = string.ascii_lowercase, string.ascii_uppercase, string.digits, "0123456789abcdef"
ALNUM = string.ascii_letters + DIGITS


@dataclass(frozen=True)
class Planted:
    """A text with something sensitive in it, and the part of it that must not stay."""

    kind: str
    text: str
    secret: str


def some(characters: str, length: int, seed: object) -> str:
    """The same characters for the same seed, with at least one digit where there are any."""
    chosen = random.Random(f"{seed}/{length}")  # noqa: S311 - made up
    drawn = "".join(chosen.choice(characters) for _ in range(length))
    return drawn[:-1] + "7" if "7" in characters else drawn


def alnum(n: int) -> str:
    return some(ALNUM, n, n)


def hexa(n: int) -> str:
    return some(HEX, n, n)


def _keys_and_ai() -> dict[str, list[str]]:
    pem = "".join(("-----BEGIN {}", "PRIVATE KEY-----\n{}\n{}\n-----END {}", "PRIVATE KEY-----"))
    jwt = ".".join(("eyJ" + alnum(33), "eyJ" + alnum(60), alnum(43)))
    return {
        "PRIVATE_KEY": [
            *(pem.format(sort, alnum(64), alnum(64), sort) for sort in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")),
            pem.format("RSA ", f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{hexa(32)}\n", alnum(64), "RSA "),
            "-----BEGIN PGP "
            + f"PRIVATE KEY BLOCK-----\n\n{alnum(64)}\n=ab1d\n-----END PGP "
            + "PRIVATE KEY BLOCK-----",
        ],
        "PUTTY_KEY": ["Private-Lines: 4\n" + alnum(64)],
        "AGE_KEY": ["AGE-SECRET-" + "KEY-1" + some(UPPER + DIGITS, 58, 1)],
        "JWT": [jwt],
        "ANTHROPIC_KEY": ["sk-ant-" + "api03-" + alnum(93) + "AA"],
        "OPENROUTER_KEY": ["sk-or-" + "v1-" + hexa(64)],
        "LANGFUSE_KEY": ["sk-lf-" + "8-4-4-" + hexa(24)],
        "OPENAI_KEY": ["sk-" + "proj-" + alnum(48), "sk-" + alnum(48), "sk-" + "svcacct-" + alnum(48)],
        "API_KEY": ["sk_internal_" + alnum(24)],
        "ONEPASSWORD_TOKEN": ["ops_" + "eyJ" + alnum(120)],
        "GROQ_KEY": ["gsk_" + alnum(52)],
        "XAI_KEY": ["xai-" + alnum(80)],
        "PERPLEXITY_KEY": ["pplx-" + alnum(48)],
        "FIREWORKS_KEY": ["fw_" + alnum(24)],
        "TOGETHER_KEY": ["tgp_v1_" + alnum(43)],
        "ELEVENLABS_KEY": ["sk_" + hexa(48)],
        "LANGSMITH_KEY": ["lsv2_" + "pt_" + hexa(32) + "_" + hexa(10)],
        "HUGGINGFACE_TOKEN": ["hf_" + alnum(34)],
        "REPLICATE_TOKEN": ["r8_" + alnum(37)],
        "PINECONE_KEY": ["pcsk_" + alnum(60)],
        "NVIDIA_KEY": ["nvapi-" + alnum(64)],
        "TAVILY_KEY": ["tvly-" + alnum(32)],
        "N8N_KEY": ["n8n_api_" + hexa(40)],
    }


def _clouds() -> dict[str, list[str]]:
    return {
        "AWS_ACCESS_KEY": [sort + some(UPPER + "234567", 16, sort) for sort in ("AKIA", "ASIA")],
        "AWS_SESSION_TOKEN": ["IQoJb3Jp" + "Z2luX2Vj" + alnum(300) + "=="],
        "GOOGLE_API_KEY": ["AIza" + alnum(35)],
        "GOOGLE_CLIENT_SECRET": ["GOCSPX-" + alnum(28)],
        "GOOGLE_OAUTH_TOKEN": ["ya29." + "a0" + alnum(120)],
        "GOOGLE_REFRESH_TOKEN": ["1//0" + alnum(60)],
        "AZURE_STORAGE_KEY": [alnum(86) + "=="],
        "AZURE_CLIENT_SECRET": [alnum(3) + "8Q~" + alnum(34)],
        "CLOUDFLARE_TOKEN": ["cfut_" + alnum(40), "cfat_" + alnum(40)],
        "CLOUDFLARE_CA_KEY": ["v1.0-" + hexa(24) + "-" + hexa(146)],
        "DIGITALOCEAN_TOKEN": [f"do{sort}_v1_" + hexa(64) for sort in "opr"],
        "HEROKU_KEY": ["HRKU-" + alnum(60)],
        "FLY_TOKEN": ["fo1_" + alnum(43)],
        "NETLIFY_TOKEN": ["nfp_" + alnum(36)],
        "VERCEL_TOKEN": ["vcp_" + alnum(40)],
        "PLANETSCALE_TOKEN": ["pscale_" + "tkn_" + alnum(43)],
        "SUPABASE_KEY": ["sbp_" + hexa(40), "sb_" + "secret_" + alnum(31)],
        "NEON_KEY": ["napi_" + some(LOWER + DIGITS, 64, 1)],
        "DATABRICKS_TOKEN": ["dapi" + hexa(32)],
        "TERRAFORM_TOKEN": [alnum(14) + ".atlasv1." + alnum(67)],
        "VAULT_TOKEN": ["hvs." + alnum(90)],
        "DOPPLER_TOKEN": ["dp." + "pt." + alnum(43)],
        "PULUMI_TOKEN": ["pul-" + hexa(40)],
        "TAILSCALE_KEY": ["tskey-" + "auth-" + alnum(17) + "-" + alnum(32)],
    }


def _code_and_messages() -> dict[str, list[str]]:
    return {
        "GITHUB_TOKEN": [f"gh{sort}_" + alnum(36) for sort in "pousr"],
        "GITHUB_PAT": ["github_" + "pat_" + alnum(22) + "_" + alnum(59)],
        "GITLAB_TOKEN": [f"gl{sort}-" + alnum(20) for sort in ("pat", "dt", "rt", "cbt", "soat")],
        "BITBUCKET_TOKEN": ["ATBB" + alnum(32)],
        "ATLASSIAN_TOKEN": ["ATATT" + "3xFf" + alnum(180) + "=" + hexa(8), "ATCTT" + "3xFf" + alnum(180)],
        "NPM_TOKEN": ["npm_" + alnum(36)],
        "PYPI_TOKEN": ["pypi-" + "AgEI" + alnum(150)],
        "DOCKER_TOKEN": ["dckr_" + "pat_" + alnum(27)],
        "RUBYGEMS_KEY": ["rubygems_" + hexa(48)],
        "POSTMAN_KEY": ["PMAK-" + hexa(24) + "-" + hexa(34)],
        "PREFECT_KEY": ["pnu_" + alnum(36)],
        "NEWRELIC_KEY": ["NRAK-" + some(UPPER + DIGITS, 27, 1), hexa(36) + "NRAL"],
        "GRAFANA_TOKEN": ["glsa_" + alnum(32) + "_" + hexa(8), "glc_" + alnum(90)],
        "SENTRY_TOKEN": ["sntrys_" + alnum(120), "sntryu_" + hexa(64)],
        "POSTHOG_KEY": ["phx_" + alnum(43)],
        "SLACK_TOKEN": [f"xox{sort}-" + some(DIGITS, 12, sort) + "-" + alnum(24) for sort in "bpares"]
        + ["xapp-" + "1-" + alnum(11) + "-" + some(DIGITS, 13, 1) + "-" + hexa(64)],
        "SLACK_WEBHOOK": ["hooks.slack" + ".com/services/T" + alnum(10) + "/B" + alnum(10) + "/" + alnum(24)],
        "DISCORD_TOKEN": ["M" + alnum(25) + "." + alnum(6) + "." + alnum(38)],
        "DISCORD_WEBHOOK": ["discord" + ".com/api/webhooks/" + some(DIGITS, 18, 1) + "/" + alnum(68)],
        "TEAMS_WEBHOOK": ["webhook.office" + ".com/webhookb2/" + alnum(36) + "@" + alnum(36)],
        "TELEGRAM_TOKEN": [some(DIGITS, 10, 1) + ":AA" + alnum(33)],
        "TWILIO_KEY": ["SK" + hexa(32), "AC" + hexa(32)],
        "SENDGRID_KEY": ["SG." + alnum(22) + "." + alnum(43)],
        "MAILGUN_KEY": ["key-" + hexa(32), hexa(32) + "-" + hexa(8) + "-" + hexa(8)],
        "MAILCHIMP_KEY": [hexa(32) + "-us21"],
        "BREVO_KEY": ["xkeysib-" + hexa(64) + "-" + alnum(16)],
        "RESEND_KEY": ["re_" + alnum(8) + "_" + alnum(24)],
    }


def _payments_and_work() -> dict[str, list[str]]:
    return {
        "STRIPE_KEY": [f"{sort}_live_" + alnum(24) for sort in ("sk", "rk")],
        "STRIPE_WEBHOOK": ["whsec_" + alnum(32)],
        "SQUARE_TOKEN": ["EAAA" + alnum(60), "sq0" + "csp-" + alnum(43)],
        "PAYPAL_TOKEN": ["access_token$" + "production$" + some(LOWER + DIGITS, 16, 1) + "$" + hexa(32)],
        "SHOPIFY_TOKEN": [f"shp{sort}_" + hexa(32) for sort in ("at", "ca", "pa", "ss")],
        "LINEAR_KEY": ["lin_" + "api_" + alnum(40)],
        "NOTION_TOKEN": ["ntn_" + alnum(46), "secret_" + alnum(43)],
        "AIRTABLE_TOKEN": ["pat" + alnum(14) + "." + hexa(64)],
        "DROPBOX_TOKEN": ["sl." + alnum(136)],
        "FIGMA_TOKEN": ["figd_" + alnum(40)],
        "HUBSPOT_TOKEN": ["pat-" + "na1-" + hexa(8) + "-" + hexa(4) + "-" + hexa(23)],
        "CLICKUP_TOKEN": ["pk_" + some(DIGITS, 8, 1) + "_" + some(UPPER + DIGITS, 32, 1)],
        "TYPEFORM_TOKEN": ["tfp_" + alnum(44) + "_" + alnum(15)],
        "FACEBOOK_TOKEN": ["EAAB" + alnum(150)],
    }


def tokens() -> list[Planted]:
    """Tokens that are found wherever they stand, also glued to other characters."""
    forms = _keys_and_ai() | _clouds() | _code_and_messages() | _payments_and_work()
    return [Planted(kind, value, value) for kind, values in forms.items() for value in values]


def fields() -> list[Planted]:
    """Secrets that are told by the words around them."""
    word = some(ALNUM, 22, "field")
    secret = some(ALNUM + "!#%", 18, "password")
    basic = base64.b64encode(f"robot:{word}".encode()).decode()
    return [
        Planted(kind, text.replace("§", value), value)
        for kind, text, value in (
            ("AUTH_HEADER", "Authorization: Bearer §", word),
            ("AUTH_HEADER", '{"authorization": "§"}', word),
            ("BEARER_TOKEN", "curl -H 'X: bearer §' sent", word),
            ("AUTH_HEADER", "authorization: Basic §", basic),
            ("DIGEST_HEADER", 'Digest username="robot", realm="x", response="§"', some(HEX, 32, "digest")),
            ("COOKIE", "Cookie: theme=dark; sid=§; lang=en", word),
            ("COOKIE", "Set-Cookie: session=§; HttpOnly", word),
            ("GLOBAL_API_KEY", "X-Auth-Key: §", some(HEX, 37, "global")),
            ("URL_PASSWORD", "postgresql://robot:§@db.internal:5432/crm", secret),
            ("URL_PASSWORD", "https://:§@host.example/", secret),
            ("URL_USER", "https://§@sentry.example/4", some(HEX, 32, "dsn")),
            ("URL_TOKEN", "https://x.example/hook?a=1&token=§&b=2", word),
            ("URL_TOKEN", "https://x.example/hook?api_key=§", word),
            ("URL_TOKEN", "https://blob.example/c?sv=2022&sig=§%3D&se=2026", word),
            ("URL_TOKEN", "https://s3.example/c?X-Amz-Signature=§", some(HEX, 64, "amz")),
            ("ONE_TIME_CODE", "Your verification code is §.", some(DIGITS, 6, "otp")),
            ("ENV_SECRET", "PATH=/bin\nexport SMTP_PASS=§\nDEBUG=1", secret),
            ("ENV_SECRET", 'A=b\nSTORAGE_KEY="§"\n', word),
            ("SECRET", "password=§", secret),
            ("SECRET", '{"user": "robot", "password": "§"}', secret),
            ("SECRET", '{\\"password\\": \\"§\\", \\"x\\": 1}', secret),
            ("SECRET", "passwort: §", secret),
            ("SECRET", '{"client_secret":"§"}', word),
            ("SECRET", "aws_secret_access_key = §", some(ALNUM + "+/", 40, "aws")),
            ("SECRET", '"secretAccessKey": "§"', some(ALNUM + "+/", 40, "aws")),
            ("SECRET", "AccountKey=§;EndpointSuffix=core", word),
            ("SECRET", "Server=db;User Id=sa;Pwd=§;Encrypt=yes", word),
            ("SECRET", "DD-API-KEY: §", some(HEX, 32, "dd")),
            ("SECRET", "heroku_api_key=§", "-".join(some(HEX, n, "uuid") for n in (8, 4, 4, 4, 12))),
            ("SECRET", '{"name": "X-Api-Key", "value": "§"}', word),
            ("SECRET", "tool --api-key § --verbose", word),
            ("SECRET", "<Password>§</Password>", secret),
            ("PASSWORD", "The password is § as agreed", secret),
            (
                "SEED_PHRASE",
                "recovery phrase: §",
                "ripple garlic mention drum oyster fabric humble canyon velvet mirror saddle quantum",
            ),
        )
    ]


def personal() -> list[Planted]:
    """Personal data, none of it anybody's: numbers from documentation, or made with their check digits."""
    return [
        Planted(kind, text.replace("§", value), value)
        for kind, text, value in (
            ("EMAIL", "Write to § please", "jane.roe" + "@example.org"),
            ("EMAIL", "§", "jörg" + "@bücher.example"),
            ("EMAIL", "<mailto:§>", "a.b+c" + "@sub.example.co.uk"),
            ("EMAIL", "?to=§", "jane.roe" + "%40example.org"),
            ("IBAN", "to § ABCD today", "DE89 3704 0044 0532 0130 00"),
            ("IBAN", "to §.", "GB82" + "WEST12345698765432"),
            ("IBAN", "§", "fr14 2004 1010 0505 0001 3m02 606"),
            ("CARD", "card § 12/27", "4111 1111 1111 1111"),
            ("CARD", "12 § 345", "5555-5555-5555-4444"),
            ("CARD", "§", "378282246310005"),
            ("MAC", "from § on", "3C:22:FB:0A:19:E4"),
            ("IPV6", "from §.", "2001:db8:85a3::8a2e:370:7334"),
            ("IPV6", "[§]:443", "fe80::1ff:fe23:4567:890a"),
            ("IPV4", "from §.", "203.0.113.57"),
            ("IPV4", "at §:8080/x", "198.51.100.23"),
            ("SSN", "SSN §.", "078-05-1120"),
            ("AADHAAR", "id §", "2341 2341 2346"),
            ("CPF", "§", "529.982.247-25"),
            ("CPF", "CPF: §", "52998224725"),
            ("STEUER_ID", "Steuer-ID: §", "86095742719"),
            ("STEUER_ID", "§", "47 036 892 816"),
            ("PESEL", "PESEL §", "44051401359"),
            ("BSN", "BSN: §", "111222333"),
            ("SIN", "SIN §", "130 692 544"),
            ("AHV", "§", "756.9217.0769.85"),
            ("NIR", "§", "1 85 05 78 006 084 91"),
            ("DNI", "DNI §", "12345678Z"),
            ("DNI", "NIE §", "X1234567L"),
            ("NINO", "§", "QQ 12 34 56 C".replace("QQ", "AB")),
            ("CODICE_FISCALE", "§", "RSSMRA85T10A562S"),
            ("PAN", "PAN §", "ABCPE1234F"),
            ("PASSPORT", "passport number: §", "C01X00T47"),
            ("DRIVING_LICENCE", "driver's license no. §", "D1234-56789"),
            ("BANK_ACCOUNT", "account number: §", "0532013000"),
            ("BIRTH_DATE", "born on § in", "1984-03-17"),
            ("BIRTH_DATE", "Geburtsdatum: §", "17.03.1984"),
            ("BIRTH_DATE", "date of birth: §", "17 March 1984"),
            ("PHONE", "call §.", "+49 30 1234567"),
            ("PHONE", "§", "+1 (415) 555-2671"),
            ("PHONE", "§, thanks", "(415) 555-2671"),
            ("PHONE", "§", "415-555-2671"),
            ("PHONE", "§", "0049 170 1234567"),
            ("PHONE", "§", "030/12345678"),
            ("PHONE", "§", "06 12 34 56 78"),
            ("PHONE", "§", "07700 900123"),
            ("PHONE", "Tel.: §", "089 123 45 67"),
        )
    ]


def planted() -> list[Planted]:
    """All of it."""
    return [*tokens(), *fields(), *personal()]


# What tickets are about and nobody may lose.
EVERYDAY = (
    "version 1.2.3, build 2.41.1-rc.1, v10.0.1",
    "order 4111111111111112 of 2026-11-26",
    "order 100045, invoice INV-2026-001234, ticket OPS-1234, PO 4500123456",
    "took 5s, 10:15:30, 2026-11-26T10:15:30.123Z, 2026-11-26T10:00:00+01:00",
    "1764115200, 1764115200123 ms",
    "execution 231847 of workflow kLmN0pQrStUvWx12",
    "trace 4bf92f3577b34da6a3ce929d0e0e4736 span 00f067aa0ba902b7",
    "traceparent 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "id 123e4567-e89b-12d3-a456-426614174000",
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8, short 9fceb02",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "EUR 1,234.56 or $99.00, 1.234,56 €, 42 %",
    "gpt-4o-mini-2024-07-18, claude-sonnet-4-5-20250929, @cf/meta/llama-3.1-8b-instruct",
    "tokens: 15000, max_tokens=4096, token_type: completion, prompt_tokens: 512, total tokens = 812345",
    "Unexpected token: < in JSON at position 0",
    "token: expired; password: required; api key missing; secret santa",
    "connect ECONNREFUSED 127.0.0.1:5678, listening on 0.0.0.0:80 and ::1",
    "HTTP 429 Too Many Requests, retry after 30",
    "https://n8n.example.com/workflow/kLmN0pQr/executions/231847",
    "http://prometheus.example/graph?g0.expr=rate(x%5B5m%5D)&g0.tab=1",
    "handrail-14f2e3b0c1d2e3f4-1",
    "std::vector<int>, Foo::Bar, a ratio of 3:2, 12:30",
    "react@18.2.0, a@b, @channel, user at example dot org",
    "basic understanding of bearer authentication",
    "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16",
    "Q4 2026: 1200 calls, 37 errors (3.08 %), p95 4.9 s, +1000 rows",
    "SKU 0012-3456, batch 12-34-56, room 101",
    "line 12, column 5: TypeError: Cannot read properties of undefined (reading 'json')",
    "task_management_overview_of_everything, disk-usage-report-of-the-month",
)
