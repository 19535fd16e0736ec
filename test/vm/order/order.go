// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Package order defines what the host tells the virtual machines to do, and the places of the files that they
// share with it and with each other.
package order

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// The folders that the host shares with the guest, by their tags.
const (
	// RootTag is the host's root folder, which the guest sees below a layer in memory.
	RootTag = "root"
	// ProgramsTag is the folder of the programs that were built for the guest. It is not written to.
	ProgramsTag = "programs"
	// AnswerTag is the folder with the order, into which the guest writes its answer.
	AnswerTag = "answer"
	// QueueTag is the folder in which guests note which of the programs they have taken.
	QueueTag = "queue"
)

// Where the guest has these folders.
const (
	Programs = "/run/lab/programs"
	Answer   = "/run/lab/answer"
	Queue    = "/run/lab/queue"
	Cache    = "/run/cache" // what programs take for the user's cache folder
	Temp     = "/run/tmp"
)

// Files in the folder Answer.
const (
	File   = "order.json"
	Output = "output" // the output of the programs
	Result = "result" // Passed or Failed, once all have ended
)

// Started is the first line of the file Output.
const Started = "# the virtual machine has started"

// The contents of the file Result.
const (
	Passed = "passed"
	Failed = "failed"
)

// Order is everything that the host tells a guest. Several guests may have the same order: each takes the next program
// that no other has taken, as long as there are any.
type Order struct {
	// Modules is the folder of the kernel's modules. Empty means that it needs none.
	Modules string
	// Writable are folders of the host that the guest changes, by the tags of the shares.
	Writable map[string]string
	// Builds is a cache of builds, of which the guest gets a copy.
	Builds   string
	Env      []string
	Programs []Program
}

// Program is a program to run, as root.
type Program struct {
	// Name is its name in the output.
	Name string
	Dir  string
	Argv []string
}

// Take takes a program, by its place in the order, unless a guest has taken it before.
func Take(queue string, place int) (bool, error) {
	err := os.Mkdir(filepath.Join(queue, strconv.Itoa(place)), 0o755)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}
