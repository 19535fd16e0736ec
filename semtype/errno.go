// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "github.com/gizmo-ebpf/gizmo/event"

func errnoType() Type {
	return Type{
		CName: "gadget_errno",
		On:    "__u32",
		Doc:   "An error number, as errno has it or negative, as the kernel returns it.",
		Adds: "The error's name. 0 is no error, and its text is empty; a number without a name reads " +
			"`error#N`.",
		Template:      "errorString",
		AddedTemplate: "errorString",
		Annotations:   targetAnnotation("errno"),
		Example:       &Example{Field: "error", Raw: 2, Text: "ENOENT"},
		Extend:        shownAs(errnoText),
	}
}

func errnoText(f event.Field, _ *Env) event.TextFunc {
	return remember(f, func(dst []byte, b *event.Batch, row int) []byte {
		return appendErrno(dst, f.Int(b.Rows[row]))
	})
}

func appendErrno(dst []byte, v int64) []byte {
	n := uint64(v)
	switch {
	case v == 0:
		return dst
	case v < 0:
		n = -n
	}
	return appendName(dst, errnoNames[:], n, "error#")
}
