// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package gadget

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

// A missing library is one message, however many programs are for it.
func TestReportOfMissingFiles(t *testing.T) {
	t.Parallel()
	missing := missingFiles{programs: []string{"a", "b", "c"}, errs: []error{errors.New("no x"), errors.New("no y"), errors.New("no x")}}
	var text bytes.Buffer
	log := slog.New(slog.NewTextHandler(&text, nil))
	if err := missing.report(log); err == nil || err.Error() != "program a: no x\nprogram b: no y\nprogram c: no x" {
		t.Errorf("no program has its hook: %v", err)
	}
	missing.found = true
	if err := missing.report(log); err != nil {
		t.Error(err)
	}
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	if len(lines) != 2 || !strings.HasSuffix(lines[0], `msg="optional programs not attached" programs="a c" reason="no x"`) ||
		!strings.HasSuffix(lines[1], `msg="optional program not attached" program=b reason="no y"`) {
		t.Errorf("got %q", lines)
	}
}
