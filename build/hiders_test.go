// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// A header of the gadget's folder counts before gizmo's. If that ends badly, the error names it.
func TestHidingHeadersAreNamed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	rejected := func() *CompileError {
		t.Helper()
		_, err := Dir(context.Background(), b.gadget, &b.o)
		var e *CompileError
		if !errors.As(err, &e) {
			t.Fatalf("got %v", err)
		}
		return e
	}
	files{"gadget/answer.h": "#define ANSWER 42\n", "gadget/mine.h": "", "bpf/bpf_helpers.h": "#include_next <bpf/bpf_helpers.h>\n"}.write(t, b.gadget)
	const want = "the gadget's folder has headers that hide those of gizmo and libbpf: bpf/bpf_helpers.h, gadget/answer.h"
	if e := rejected(); e.Hint != want || !strings.HasSuffix(e.Error(), ": "+want) {
		t.Errorf("got %q", e)
	}
	files{"gadget/answer.h": smallHeaders["gadget/answer.h"]}.write(t, b.gadget)
	if r := b.build(); r.Warnings != "" {
		t.Errorf("what compiles is blamed for nothing, but: %s", r.Warnings)
	}
	b = newBench(t)
	files{"program.bpf.c": "int x = ;\n"}.write(t, b.gadget)
	if e := rejected(); e.Hint != "" {
		t.Errorf("nothing is hidden, but: %q", e)
	}
}
