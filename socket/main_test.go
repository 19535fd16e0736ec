// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package socket

import (
	"fmt"
	"os"
	"testing"

	"github.com/gizmo-ebpf/gizmo/internal/kerneltest"
)

// TestMain has more jobs: tests start it as an agent, or to be killed, and it fails if the tests leave something in the kernel.
func TestMain(m *testing.M) {
	if os.Getenv(agentEnv) != "" {
		os.Exit(serveAgent())
	}
	if os.Getenv(holdEnv) != "" {
		os.Exit(hold())
	}
	code := m.Run()
	if left := kerneltest.ObjectsOf(os.Getpid()); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "the tests left open:", left)
		code = 1
	}
	os.Exit(code)
}
