// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"fmt"
	"os"
	"testing"
)

// These environment variables make the test program build a gadget and do nothing else.
const (
	helperGadget  = "GIZMO_BUILD_GADGET"
	helperCache   = "GIZMO_BUILD_CACHE"
	helperInclude = "GIZMO_BUILD_INCLUDE"
)

func TestMain(m *testing.M) {
	gadget := os.Getenv(helperGadget)
	if gadget == "" {
		os.Exit(m.Run())
	}
	r, err := Dir(context.Background(), gadget, &Options{
		Arch: "amd64", Cache: os.Getenv(helperCache), Include: os.Getenv(helperInclude), Verbose: os.Stderr,
	})
	if err == nil {
		err = r.NoCache
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}
