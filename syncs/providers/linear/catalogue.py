"""Which Linear lists are offered, and what is asked of each record.

Source: Linear's own schema, github.com/linear/linear packages/sdk/src/schema.graphql of 2026-07-22, read 2026-11-26.
Every field named here is in it and not deprecated; the sandbox keeps its names, and refuses all others.
Cost: a field counts 0.1 points, an object 1, both times the page's size; 10,000 at most a query
(https://linear.app/developers/rate-limiting). So a page of 100 issues costs some 2,000.
"""

from syncs.providers.kit.catalogue import KEPT, Collection, Deletes
from syncs.providers.linear.resource import Resource

PAGE = 100
ID_PAGE = 250  # the most Linear lists at once: so say its users, not its docs (unverified)
_ID = "id"


def _ids(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, _ID) for name in names)


RESOURCES = (
    Resource(
        "issue",
        "Issues",
        "issues",
        "Issue",
        "identifier number title description url branchName priority priorityLabel estimate sortOrder"
        " subIssueSortOrder labelIds previousIdentifiers dueDate startedAt startedTriageAt triagedAt completedAt"
        " canceledAt autoArchivedAt autoClosedAt addedToCycleAt addedToProjectAt addedToTeamAt snoozedUntilAt"
        " slaStartedAt slaMediumRiskAt slaHighRiskAt slaBreachesAt slaType customerTicketCount integrationSourceType",
        (
            ("state", "id name type"),
            ("team", "id key"),
            *_ids("assignee", "creator", "delegate", "cycle", "project", "projectMilestone", "parent", "snoozedBy"),
        ),
        trash=True,
    ),
    Resource(
        "comment",
        "Comments",
        "comments",
        "Comment",
        "body url quotedText editedAt resolvedAt hideInLinear reactionData issueId parentId projectId projectUpdateId"
        " initiativeId initiativeUpdateId documentContentId resolvingCommentId",
        _ids("user", "externalUser", "resolvingUser"),
        help="On issues, projects, documents and updates.",
    ),
    Resource(
        "project",
        "Projects",
        "projects",
        "Project",
        "name description content color icon slugId url priority priorityLabel sortOrder progress scope health"
        " healthUpdatedAt labelIds startDate startDateResolution targetDate targetDateResolution startedAt completedAt"
        " canceledAt autoArchivedAt",
        (("status", "id name type"), *_ids("lead", "creator", "convertedFromIssue")),
        trash=True,
    ),
    Resource(
        "project_milestone",
        "Project milestones",
        "projectMilestones",
        "ProjectMilestone",
        "name description status progress sortOrder targetDate",
        _ids("project"),
        hooked=False,
    ),
    Resource(
        "project_update",
        "Project updates",
        "projectUpdates",
        "ProjectUpdate",
        "body health slugId url isDiffHidden editedAt reactionData",
        _ids("project", "user"),
    ),
    Resource(
        "initiative",
        "Initiatives",
        "initiatives",
        "Initiative",
        "name description content color icon slugId url status health healthUpdatedAt priority sortOrder targetDate"
        " targetDateResolution startedAt completedAt canceledAt",
        _ids("owner", "creator", "parentInitiative"),
        trash=True,
    ),
    Resource(
        "document",
        "Documents",
        "documents",
        "Document",
        "title content color icon slugId url sortOrder hiddenAt",
        _ids("creator", "updatedBy", "project", "initiative", "issue", "team"),
        trash=True,
    ),
    Resource(
        "cycle",
        "Cycles",
        "cycles",
        "Cycle",
        "number name description startsAt endsAt completedAt autoArchivedAt progress",
        _ids("team", "inheritedFrom"),
    ),
    Resource(
        "team",
        "Teams",
        "teams",
        "Team",
        "key name displayName description color icon timezone visibility retiredAt cyclesEnabled cycleDuration"
        " cycleStartDay triageEnabled issueEstimationType autoArchivePeriod",
        _ids("parent"),
        hooked=False,
    ),
    Resource(
        "user",
        "Users",
        "users",
        "User",
        "name displayName email avatarUrl description title timezone url active admin guest owner app disableReason",
        args="includeDisabled: true",
        help="Those who left stay, with active false.",
    ),
    Resource(
        "workflow_state",
        "Workflow states",
        "workflowStates",
        "WorkflowState",
        "name description color type position",
        _ids("team", "inheritedFrom"),
        hooked=False,
    ),
    Resource(
        "issue_label",
        "Issue labels",
        "issueLabels",
        "IssueLabel",
        "name description color isGroup retiredAt",
        _ids("team", "parent", "creator", "inheritedFrom"),
    ),
    Resource(
        "attachment",
        "Issue attachments",
        "attachments",
        "Attachment",
        "title subtitle url sourceType metadata source groupBySource",
        _ids("issue", "creator"),
        help="Links to pull requests, tickets and the like.",
    ),
)

BY_ID = {resource.id: resource for resource in RESOURCES}
BY_TYPE = {resource.type: resource for resource in RESOURCES if resource.hooked}

_TRASH = "What lies in Linear’s trash is deleted here, and comes back with it. Archived ones stay, with archivedAt."
_DAY_H = 24


def to_collection(resource: Resource) -> Collection:
    """The resource as the console shows it."""
    return Collection(
        id=resource.id,
        title=resource.title,
        feed=resource.id,
        upstream=resource.list,
        deletes=Deletes.FLAG if resource.trash else Deletes.SWEEP,
        versioned_by_time=True,
        reread_every_h=7 * _DAY_H,  # `updatedAt` moves with what Linear calls meaningful updates
        sweep_every_h=7 * _DAY_H if resource.trash else _DAY_H,
        page_size=PAGE,
        sweep_page=ID_PAGE,
        ids_only=True,
        kept=KEPT,
        shown=resource.shown,
        help=_TRASH if resource.trash else resource.help,
        cost="One request for 100 records, then one for each look for changes.",
    )


COLLECTIONS = tuple(to_collection(resource) for resource in RESOURCES)
