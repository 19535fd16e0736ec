// Copyright The gizmo Authors
// SPDX-License-Identifier: Apache-2.0

// Command sleeper waits until it is killed.
package main

import "time"

func main() { time.Sleep(time.Hour) }
