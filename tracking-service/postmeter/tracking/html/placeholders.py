"""Placeholders of mail templates in a URL, which the sender's system or provider fills in after us.

Each language has delimiters of its own, so they are known by what they share: a name between characters that no URL
can hold (RFC 3986, appendix A; WHATWG URL, "URL code points"), or cannot hold in that place, such as most signs in a
host; and a few that it could, but that mean nothing there, such as `$name$`, or that the documentation of a platform
gives as its own. What careless people leave unescaped is not a name in such delimiters: `100%-off`, `f[0]=`, JSON in
braces, a GUID in braces. Nor is what no platform is known to fill in, and URLs do hold: `__name__`, `!name!`, `~name~`,
`|name|`.
"""

from __future__ import annotations

import re

# At most a hundred characters, so that each pattern looks no further ahead than that.
_NAME = r"[A-Za-z_][\w.-]{0,99}"
_PHRASE = r"[A-Za-z_](?:[\w.:|\ -]{0,98}\w)?"
_ESCAPE = r"%[0-9A-Fa-f]{2}"
_LITERAL = r"(?:true|false|null)\b"
_GUID = r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"

_PLACEHOLDER = re.compile(
    rf"""
    %%                                                # %%name%%
    | (?!{_ESCAPE}) % {_PHRASE} %                     # %recipient.name%
    | % {_PHRASE} (?!{_ESCAPE}) %                     # %dealer%: its first letters only look like an escape
    | \{{\{{                                          # {{name}}: JSON has no brace after a brace
    | \{{% (?![0-9A-Fa-f]{{2}}) | %\}}                # {{% if x %}}
    | \$\{{ | \{{\$                                   # ${{name}}, {{$name}}
    # {{name}}, {{!Contact.Name}}, {{?x,y}}
    | \{{ (?!{_GUID}\}}) [!\#~@:=+?/;&.^*-]? {_NAME} (?:[|=,?(\[\ ][^{{}}]{{0,200}})? \}}
    | \{{ [0-9]{{1,3}} \}}                            # {{0}}
    # [name], [First Name], not f[name], but also behind an escaped character
    | (?: (?<![\w\]]) | (?<=%[0-9A-Fa-f][0-9A-Fa-f]) )
      \[ (?!{_LITERAL}) [A-Za-z_][\w.\ -]{{0,99}} (?:\|[^\[\]]{{0,200}} | ,[^\[\]=]{{0,100}}=[^\[\]]{{0,100}})? \]
    | \[\[ (?!{_LITERAL}) \ ? [$@\#!*+-]? [A-Za-z_][^\[\]]{{0,299}} \]\]    # [[name]], not [[1,2],[3,4]]
    | \*\| [^|*]{{1,200}} \|\*                        # *|NAME|*
    | < (?!{_ESCAPE}) [%?\#$@!=/\ ]? [=\ ]{{0,2}} \$? [A-Za-z_][^<>]{{0,299}} >     # <%= name %>, <name>
    | \#{{2,3}} {_PHRASE} \#{{2,3}}                   # ###NAME###
    | \# [A-Za-z_][\w.\\:-]{{0,99}} \# (?!\w)           # #NAME#, #LISTRAK\NAME#, #pf:NAME#, not #part#another
    | ([$^`]) {_NAME} \1                              # $name$
    | ([$@~!*^]) \2 {_PHRASE} \2\2                    # @@name@@
    | \$\( {_NAME} \)                                # $(name)
    | \(\( [A-Za-z_][^()]{{0,199}} \)\)                # ((name)), ((name??text)): GOV.UK Notify
    | @ {_NAME} @ (?!\w)                             # @NAME@: Dotdigital; not @user@host.example
    | ~ [A-Z][A-Za-z]{{0,30}} \. {_NAME} ~            # ~Contact.Id~: Keap
    # --name--: Etelligent
    | (?: (?<![\w-]) | (?<=%[0-9A-Fa-f][0-9A-Fa-f]) ) -- [A-Za-z][\w.]{{0,60}} -- (?![\w-])
    | =- [A-Za-z]\w{{0,30}} - (?=[&\#]|\Z)              # =-name-, the whole value: SendGrid's substitutions
    | \[\* [^\[\]]{{1,200}} \*\]                        # [* name *]: Adestra
    | \{{\| {_NAME} \|\}}                               # {{|name|}}: Sitefinity
    """,
    re.VERBOSE | re.ASCII,
)
# The common case, in one match: nothing that could be a delimiter, nor twice what could.
_PLAIN = rf"(?:[\w./?=&;:+,()'-]|{_ESCAPE})*+"
_ORDINARY = re.compile(rf"https?://[A-Za-z0-9]{_PLAIN}(?:\#{_PLAIN})?", re.ASCII)
# What may stand for a host: a name, an address in brackets; and what is refused for other reasons: blanks, user info.
_HOST = re.compile(r"https?:[/\\]*([^/\\?#]*)", re.ASCII | re.IGNORECASE)
_SOME_HOST = re.compile(rf"(?:[\w.:@\s-]|[^\x00-\x7f]|{_ESCAPE})*|\[[0-9A-Fa-f:.]*\](?::[0-9]*)?", re.ASCII)


def holds_placeholder(url: str) -> bool:
    """Whether something is still to be filled in. Linear in the length of `url`."""
    if _ORDINARY.fullmatch(url) and "--" not in url and "=-" not in url and "((" not in url:
        return False
    if _PLACEHOLDER.search(url):
        return True
    host = _HOST.match(url)
    if host is None:
        return False
    name = host.group(1)
    return not _SOME_HOST.fullmatch(name) or (name[:1] == name[-1:] and name.startswith(("-", "_")))
