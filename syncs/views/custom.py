"""Described APIs, for admins: a list, one form that makes and changes them, a trial while one writes, files."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from sequin_console.common import web
from sequin_console.common.problems import Problem
from syncs import custom, custom_forms, custom_use
from syncs.api_custom import file_of
from syncs.custom_forms import ApiForm, CollectionForm
from syncs.models import Credential, CustomProvider
from syncs.providers.custom import Definition

PAGE, FRAGMENT = "syncs/custom_provider.html", "syncs/_custom_provider_form.html"
MOST_COLLECTIONS, MOST_FILE_BYTES = 50, 500_000
SECRETS = ("secret", "user", "password", "client_id", "client_secret", "access_token")


@dataclass
class Forms:
    """The API's form and one for each collection."""

    api: ApiForm
    collections: list[CollectionForm]
    stored: Definition | None

    @classmethod
    def of(cls, stored: Definition | None) -> "Forms":
        """The forms of a definition, or of one to be written."""
        lists = custom_forms.collection_initials(stored) if stored else [{}]
        api = custom_forms.api_initial(stored) if stored else {}
        return cls._unbound(api, lists, stored)

    @classmethod
    def _unbound(cls, api: dict[str, Any], lists: list[dict[str, Any]], stored: Definition | None) -> "Forms":
        made = [_with_defaults(CollectionForm(prefix=f"c{n}", initial=each)) for n, each in enumerate(lists)]
        return cls(ApiForm(initial=api, is_new=stored is None), made, stored)

    @classmethod
    def posted(cls, post: QueryDict, stored: Definition | None) -> "Forms":
        count = min(int(post.get("count") or 1), MOST_COLLECTIONS) if (post.get("count") or "1").isdigit() else 1
        made = [CollectionForm(post, prefix=f"c{number}") for number in range(count)]
        return cls(ApiForm(post, is_new=stored is None), made, stored)

    def edited(self, post: QueryDict) -> "Forms":
        """What was typed, with one collection more or less, and nothing checked yet."""
        lists = [
            {name: post.get(form.add_prefix(name), "") for name in form.fields}
            for number, form in enumerate(self.collections)
            if str(number) != post.get("remove")
        ]
        if "add" in post or not lists:
            lists.append({})
        return self._unbound({name: post.get(name, "") for name in self.api.fields}, lists, self.stored)

    def definition(self) -> Definition:
        """The definition they describe. Raises Problem; the mistakes then stand at the fields."""
        all_forms = [self.api, *self.collections]
        wrong = [form for form in all_forms if not form.is_valid()]  # all of them are asked, to mark every field
        if wrong:
            raise Problem("Something is missing or cannot be.", next_step="See the marked fields.")
        try:
            lists = [form.cleaned_data for form in self.collections]
            return custom.parse(custom_forms.as_data(self.api.cleaned_data, lists, self.stored))
        except Problem as problem:
            custom_forms.show_problem(problem, self.api, self.collections)
            raise

    @property
    def mistakes(self) -> list[tuple[str, str]]:
        """Where and what, in words."""
        found = []
        for form in (self.api, *self.collections):
            about = f"{form['title'].value() or 'Collection'}, " if isinstance(form, CollectionForm) else ""
            for name, errors in form.errors.items():
                label = str(form.fields[name].label) if name in form.fields else "the whole"
                found += [(f"{about}{label}", str(error)) for error in errors]
        return found


def _with_defaults(form: CollectionForm) -> CollectionForm:
    form.initial = {"id_at": "id", "sweep_every_h": "168", **form.initial}
    return form


def custom_providers(request: HttpRequest) -> HttpResponse:
    rows = CustomProvider.objects.administered_by(request.user)
    return render(request, "syncs/custom_providers.html", {"rows": rows, "nav": "syncs:connections"})


@never_cache
@sensitive_post_parameters()
def custom_provider_create(request: HttpRequest) -> HttpResponse:
    CustomProvider.objects.administered_by(request.user)
    return _form_page(request, None)


@never_cache
@sensitive_post_parameters()
def custom_provider_edit(request: HttpRequest, pk: UUID) -> HttpResponse:
    return _form_page(request, get_object_or_404(CustomProvider.objects.administered_by(request.user), pk=pk))


def _form_page(request: HttpRequest, row: CustomProvider | None) -> HttpResponse:
    """Show the form; add or take away a collection; or save."""
    stored = Definition.model_validate(row.definition) if row else None
    if request.method != "POST":
        return _answer(request, row, Forms.of(stored), status=200)
    typed = Forms.posted(request.POST, stored)
    if "add" in request.POST or "remove" in request.POST:
        return _answer(request, row, typed.edited(request.POST), status=200)
    asks = None
    try:
        definition = typed.definition()
        if row is None:
            custom.create(definition, by=request.user)
        else:
            custom.update(row, definition, by=request.user, read_again="read_again" in request.POST)
    except Problem as problem:
        asks = problem if "read_again" in problem.fields else None
        if asks is None and not typed.mistakes:
            custom_forms.show_problem(problem, typed.api, typed.collections)
        return _answer(request, row, typed, status=422, asks=asks)
    message = f"{definition.label} saved." if row else f"{definition.label} is described. Now connect an account."
    return web.go_to(request, "syncs:custom_providers", message)


def _answer(
    request: HttpRequest, row: CustomProvider | None, typed: Forms, *, status: int, asks: Problem | None = None
) -> HttpResponse:
    context = {
        "row": row,
        "form": typed.api,
        "collections": typed.collections,
        "count": len(typed.collections),
        "asks": asks,
        "credentials": Credential.objects.filter(provider=row.key) if row else (),
        "users": custom_use.users_of(row) if row else (),
        "nav": "syncs:connections",
    }
    return web.page_or_fragment(request, PAGE, FRAGMENT, context, status=status)


@require_POST
@never_cache
@sensitive_post_parameters()
@sensitive_variables()
def custom_provider_try(request: HttpRequest) -> HttpResponse:
    """The first page of the collection whose button was pressed, by what the form says now. Nothing is stored."""
    rows = CustomProvider.objects.administered_by(request.user)
    row = rows.filter(pk=request.POST["row"]).first() if request.POST.get("row") else None
    typed = Forms.posted(request.POST, Definition.model_validate(row.definition) if row else None)
    context: dict[str, Any] = {}
    try:
        definition = typed.definition()
        number = int(request.POST.get("try") or 0)
        collection = definition.collections[min(number, len(definition.collections) - 1)]
        credential = None
        if row and (chosen := request.POST.get("trial-credential")):
            credential = get_object_or_404(Credential, pk=chosen, provider=row.key)
        secrets = {name: request.POST.get(f"trial-{name}", "") for name in SECRETS}
        wanted = {"header": ("secret",), "query": ("secret",), "bearer": ("secret",), "basic": ("user", "password"),
                  "oauth_code": ("access_token",), "client_credentials": ("client_id", "client_secret")}  # fmt: skip
        shown = {name: secrets[name] for name in wanted[definition.auth.type]}
        context |= {"collection": collection, "trial": custom.try_it(definition, collection.id, shown, credential)}
    except Problem as problem:
        context |= {"problem": problem, "mistakes": typed.mistakes}
    return render(request, "syncs/_trial.html", context, status=422 if "problem" in context else 200)


def custom_provider_delete(request: HttpRequest, pk: UUID) -> HttpResponse:
    row = get_object_or_404(CustomProvider.objects.administered_by(request.user), pk=pk)
    if request.method == "POST":
        custom.delete(row, by=request.user)
        return web.go_to(request, "syncs:custom_providers", f"{row.label} deleted.")
    context = {"row": row, "users": custom_use.users_of(row), "nav": "syncs:connections"}
    return render(request, "syncs/custom_provider_delete.html", context)


def custom_provider_export(request: HttpRequest, pk: UUID) -> HttpResponse:
    return file_of(get_object_or_404(CustomProvider.objects.administered_by(request.user), pk=pk))


@require_POST
def custom_provider_import(request: HttpRequest) -> HttpResponse:
    """Store the definition in a file; a new one, so that no stored one is changed unseen."""
    CustomProvider.objects.administered_by(request.user)
    upload = request.FILES.get("file")
    step = "Choose a file that “Export” has given."
    if upload is None or (upload.size or 0) > MOST_FILE_BYTES:
        raise Problem("There is no file, or one far too large.", next_step=step)
    try:
        data = json.loads(upload.read())
        assert isinstance(data, dict)
    except (ValueError, AssertionError, RecursionError):
        raise Problem("This file is not a definition.", next_step=step) from None
    row = custom.import_file(data, by=request.user)
    return web.go_to(request, "syncs:custom_providers", f"{row.label} is imported.")
