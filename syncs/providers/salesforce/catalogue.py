"""Which Salesforce objects are offered, under which ids, and how they are told apart in a global describe."""

from collections.abc import Mapping, Sequence
from typing import Any

from syncs.providers.kit.catalogue import Collection, Deletes

PREFIX = "salesforce:"
BIN_KEPT_S = 15 * 24 * 3600  # deleted rows; later they are gone without a word
REREAD_EVERY_H = 24  # objects with calculated fields; the others are only described

# id, object, title; offered by default where the org has them
OFFERED = (
    ("account", "Account", "Accounts"),
    ("contact", "Contact", "Contacts"),
    ("lead", "Lead", "Leads"),
    ("opportunity", "Opportunity", "Opportunities"),
    ("opportunity_line_item", "OpportunityLineItem", "Opportunity products"),
    ("opportunity_contact_role", "OpportunityContactRole", "Opportunity contact roles"),
    ("opportunity_history", "OpportunityHistory", "Opportunity history"),
    ("case", "Case", "Cases"),
    ("case_comment", "CaseComment", "Case comments"),
    ("email_message", "EmailMessage", "Email messages"),
    ("task", "Task", "Tasks"),
    ("event", "Event", "Events"),
    ("campaign", "Campaign", "Campaigns"),
    ("campaign_member", "CampaignMember", "Campaign members"),
    ("user", "User", "Users"),
    ("user_role", "UserRole", "Roles"),
    ("profile", "Profile", "Profiles"),
    ("group", "Group", "Groups"),
    ("product", "Product2", "Products"),
    ("pricebook", "Pricebook2", "Price books"),
    ("pricebook_entry", "PricebookEntry", "Price book entries"),
    ("quote", "Quote", "Quotes"),
    ("quote_line_item", "QuoteLineItem", "Quote line items"),
    ("order", "Order", "Orders"),
    ("order_item", "OrderItem", "Order products"),
    ("contract", "Contract", "Contracts"),
    ("asset", "Asset", "Assets"),
    ("content_version", "ContentVersion", "File versions"),
    ("content_document", "ContentDocument", "Files"),
    ("attachment", "Attachment", "Attachments"),
    ("record_type", "RecordType", "Record types"),
)

IDS = {name: PREFIX + key for key, name, _ in OFFERED}
_NEVER_DELETED = {"User"}
_SWEPT = {"UserRole", "Profile", "Group", "RecordType"}  # some orgs' describe shows no IsDeleted here
_HELP = {
    "Task": "Archived tasks are included.",
    "Event": "Archived events are included.",
    "EmailMessage": "Message bodies can be large.",
    "ContentVersion": "The file itself is not read, only what is known of it.",
    "Attachment": "The file itself is not read, only what is known of it.",
    "OpportunityHistory": "Entries are added, never changed.",
}
_COST = "About one API call for 2,000 records, and one for each look for changes."

# These refuse a query without a special filter, or cannot be queried at all.
# Source: https://developer.salesforce.com/docs/atlas.en-us.object_reference.meta, and the lists other readers keep.
EXCLUDED = frozenset({
    "Announcement", "ContentDocumentLink", "ContentFolderItem", "ContentFolderMember", "CollaborationGroupRecord",
    "Vote", "IdeaComment", "FieldDefinition", "EntityParticle", "PlatformAction", "UserEntityAccess",
    "UserFieldAccess", "RelationshipInfo", "RelationshipDomain", "SearchLayout", "SiteDetail",
    "OwnerChangeOptionInfo", "DataStatistics", "PicklistValueInfo", "FlexQueueItem", "NetworkUserHistoryRecent",
    "FieldHistoryArchive", "RecordActionHistory", "FlowVersionView", "FlowVariableView", "FlowTestView",
    "AppTabMember", "ColorDefinition", "IconDefinition", "DatacloudDandBCompany", "DatacloudAddress",
    "RelatedListDefinition", "RelatedListColumnDefinition", "ApexTypeImplementor", "DataType",
    "ListViewChartInstance", "FeedLike", "FeedSignal", "FeedTrackedChange", "OutgoingEmail",
    "OutgoingEmailRelation", "ActivityHistory", "OpenActivity", "EmailStatus", "UserRecordAccess", "Name",
    "AggregateResult", "ProcessInstanceHistory", "OwnedContentDocument", "FolderedContentDocument",
    "AttachedContentDocument", "AttachedContentNote", "CombinedAttachment", "NoteAndAttachment", "ContentBody",
    "LookedUpFromActivity", "QuoteTemplateRichTextData",
})  # fmt: skip
_EXCLUDED_SUFFIXES = ("ChangeEvent", "__e", "__b", "_hd")

NOT_IN_BULK = frozenset({
    "FieldSecurityClassification", "WorkStepStatus", "ShiftStatus", "WorkOrderStatus", "WorkOrderLineItemStatus",
    "ServiceAppointmentStatus", "SolutionStatus", "ContractStatus", "CaseStatus", "OrderStatus", "TaskStatus",
    "TaskPriority", "PartnerRole", "RecentlyViewed", "AcceptedEventRelation", "DeclinedEventRelation",
    "UndecidedEventRelation",
})  # fmt: skip


def collection_id(name: str) -> str:
    """`Product2` as `salesforce:product`, `Invoice__c` as `salesforce:invoice__c`."""
    return IDS.get(name, PREFIX + name.lower())


def collection(name: str, title: str, *, custom: bool = False) -> Collection:
    """The collection of one Salesforce object."""
    key = collection_id(name)
    return Collection(
        id=key,
        title=title,
        feed=key,
        upstream=name,
        deletes=_deletes(name),
        page_size=2_000,
        kept=("Id", "CreatedDate", "LastModifiedDate", "SystemModstamp", "IsDeleted"),
        described=True,
        sweep_page=2_000,
        ids_only=True,
        remembers_s=BIN_KEPT_S if _deletes(name) is Deletes.FLAG else None,
        versioned_by_time=True,
        reread_every_h=REREAD_EVERY_H,
        custom=custom,
        shown=name in IDS or (custom and name.endswith("__c")),
        help=_HELP.get(name, ""),
        cost=_COST,
    )


def _deletes(name: str) -> Deletes:
    if name in _NEVER_DELETED:
        return Deletes.NONE
    return Deletes.SWEEP if name in _SWEPT or name.endswith("__mdt") else Deletes.FLAG


STANDARD = tuple(collection(name, title) for _, name, title in OFFERED)


def from_global_describe(sobjects: Sequence[Mapping[str, Any]]) -> tuple[Collection, ...]:
    """The collections of `GET /sobjects`: those offered by default first, then custom ones, then the rest."""
    titles = {name: title for _, name, title in OFFERED}
    found = [
        collection(
            str(entry["name"]),
            titles.get(entry["name"]) or str(entry.get("labelPlural") or entry.get("label") or entry["name"]),
            custom=bool(entry.get("custom")),
        )
        for entry in sobjects
        if is_readable(entry)
    ]
    places = {name: place for place, name in enumerate(titles)}
    return tuple(sorted(found, key=lambda each: (places.get(each.upstream, 999), not each.custom, each.title.lower())))


def is_readable(entry: Mapping[str, Any]) -> bool:
    """Whether an entry of the global describe can be listed by a plain query."""
    name = str(entry.get("name") or "")
    return (
        bool(name and entry.get("queryable"))
        and not entry.get("deprecatedAndHidden")
        and name not in EXCLUDED
        and not name.endswith(_EXCLUDED_SUFFIXES)
    )
