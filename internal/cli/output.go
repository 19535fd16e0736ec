// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"

	"github.com/gizmo-ebpf/gizmo/internal/safefile"
	"github.com/gizmo-ebpf/gizmo/run"
)

// outputFile is the file of --output-file; nil: the output goes to standard output.
type outputFile struct {
	*safefile.File
	begun bool
}

// openOutput opens the file of --output-file, if the user gives one, for the text of o. The file keeps its contents until the run begins.
func openOutput(ctx context.Context, path string, o *run.Options) (*outputFile, error) {
	if path == "" || path == "-" {
		return nil, nil
	}
	f, err := safefile.CreateWaiting(ctx, path, outputPerm)
	if err != nil {
		return nil, fmt.Errorf("--output-file: %w", err)
	}
	o.Text.W = f.File
	return &outputFile{File: f}, nil
}

// outputPerm are the permissions of a new file: it shows what all users of the host did.
const outputPerm = 0o600

// begin removes what the file had.
func (f *outputFile) begin() error {
	if f == nil || f.begun {
		return nil
	}
	f.begun = true
	if err := f.Empty(); err != nil {
		return fmt.Errorf("--output-file: %w", err)
	}
	return nil
}

// end closes the file. If the run has not begun, things are as they were.
func (f *outputFile) end() error {
	switch {
	case f == nil:
		return nil
	case f.begun:
		if err := f.Close(); err != nil {
			return fmt.Errorf("--output-file: %w", err)
		}
	default:
		_ = f.Discard() // the run has failed for another reason, and may have given up the right to remove files
	}
	return nil
}
