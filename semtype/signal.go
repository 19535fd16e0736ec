// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package semtype

import "github.com/gizmo-ebpf/gizmo/event"

func signalType() Type {
	return Type{
		CName: "gadget_signal",
		On:    "__u32",
		Doc:   "A signal's number.",
		Adds: "The signal's name. Numbers without one read `signal#N`: 0, which kill(2) takes to test " +
			"for a process, and the real-time signals, whose names depend on the C library.",
		Annotations: targetAnnotation("signal"),
		Example:     &Example{Field: "sig", Raw: 9, Text: "SIGKILL"},
		Extend:      shownAs(signalText),
	}
}

func signalText(f event.Field, _ *Env) event.TextFunc {
	return func(dst []byte, b *event.Batch, row int) []byte {
		return appendName(dst, signalNames[:], f.Uint(b.Rows[row]), "signal#")
	}
}
