"""What the API takes and answers for the upstream half. Descriptions and examples are what /v1/docs shows."""

# ruff: noqa: F401 - names for users of this package

from syncs.schemas.credentials import (
    CheckList,
    CheckOut,
    CredentialDetail,
    CredentialIn,
    CredentialList,
    CredentialOut,
    CredentialPatch,
    CredentialQuery,
    InlineCredential,
    StartAuth,
    StartUrl,
    TokenIn,
    TokenOut,
)
from syncs.schemas.oauth_apps import (
    OAuthAppIn,
    OAuthAppList,
    OAuthAppOut,
    OAuthAppPatch,
    OAuthAppQuery,
)
from syncs.schemas.providers import (
    CollectionDetail,
    CollectionList,
    CollectionOut,
    ProviderList,
    ProviderOut,
)
from syncs.schemas.records import RecordList, RecordOut, RecordQuery
from syncs.schemas.syncs import (
    CollectionPatch,
    DecisionIn,
    EstimateIn,
    EstimateOut,
    ResyncIn,
    SchemaChangeList,
    SchemaChangeOut,
    SyncIn,
    SyncList,
    SyncOut,
    SyncPatch,
    SyncQuery,
)
