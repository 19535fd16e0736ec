// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package flags_test

import (
	"errors"
	"testing"

	"github.com/spf13/pflag"

	"github.com/gizmo-ebpf/gizmo/internal/cli/flags"
)

// A gadget sets defaults of flags, but not of those that reach beyond the run.
func TestSetDefaults(t *testing.T) {
	t.Parallel()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	record, sort := fs.String("record", "", ""), fs.String("sort", "", "")
	defaults := map[string]string{"operator.cli.record": "/x", "operator.sort.sort": "-n"}
	const refused = `paramDefaults: "operator.cli.record": a gadget cannot set --record, only the user can`
	if err := flags.SetDefaults(fs, defaults, nil); err == nil || err.Error() != refused {
		t.Errorf("error %v, want %s", err, refused)
	}
	var warned error
	if err := flags.SetDefaults(fs, defaults, func(err error) { warned = errors.Join(warned, err) }); err != nil || warned == nil || warned.Error() != refused {
		t.Errorf("error %v, warning %v", err, warned)
	}
	if *record != "" || *sort != "-n" {
		t.Errorf("record is %q and sort %q", *record, *sort)
	}
}
