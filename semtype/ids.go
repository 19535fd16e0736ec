// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import (
	"strconv"
	"strings"

	"github.com/gizmo-ebpf/gizmo/event"
)

func uidType() Type {
	return Type{
		CName: "gadget_uid",
		On:    "__u32",
		Doc:   "A user's id.",
		Adds: "The user's name on the host, or the id if it has none. `uid` in a `struct gadget_creds` " +
			"gains `user` beside it, hidden in columns.",
		Template:    "uid",
		Annotations: idAnnotations(),
		Example:     &Example{Field: "user", Raw: 0, Text: "root"},
		Extend: func(s *event.Schema, i int, env *Env) {
			extendID(s, i, env, env.Users, "uid", "user")
		},
	}
}

func gidType() Type {
	return Type{
		CName: "gadget_gid",
		On:    "__u32",
		Doc:   "A group's id.",
		Adds: "The group's name on the host, or the id if it has none. `gid` in a `struct gadget_creds` " +
			"gains `group` beside it, hidden in columns.",
		Template:    "gid",
		Annotations: idAnnotations(),
		Example:     &Example{Field: "group", Raw: 0, Text: "root"},
		Extend: func(s *event.Schema, i int, env *Env) {
			extendID(s, i, env, env.Groups, "gid", "group")
		},
	}
}

func idAnnotations() []Annotation { return []Annotation{{"uidgidresolver.target", targetDoc}} }

// extendID adds the name of an id. A member of struct gadget_creds that is called idName keeps its
// name, so the added field is called added.
func extendID(s *event.Schema, i int, env *Env, names Names, idName, added string) {
	f := s.Fields[i]
	text := idText(f, names)
	inCreds := f.Parent != event.NoParent && s.Fields[f.Parent].HasType("gadget_creds")
	if !inCreds || f.Base() != idName || f.Ann.Target != "" || !isNumber(&f) {
		shownAs(func(event.Field, *Env) event.TextFunc { return text })(s, i, env)
		return
	}
	if j, ok := addText(s, i, env, sibling(&f, added), text); ok {
		s.Fields[j].Ann.Columns.Hidden = true
		shortHeader(s, j, strings.ToUpper(added))
	}
}

func idText(f event.Field, names Names) event.TextFunc {
	text := func(dst []byte, b *event.Batch, row int) []byte {
		id := uint32(f.Uint(b.Rows[row]))
		if names != nil {
			before := len(dst)
			if dst = names.Append(dst, id); len(dst) > before {
				return dst
			}
		}
		return strconv.AppendUint(dst, uint64(id), 10)
	}
	if v, ok := names.(versioned); ok {
		return rememberWhile(f, v.Version, text)
	}
	return text
}

// versioned are names with a version, which differs after the names have changed.
type versioned interface{ Version() uint64 }
