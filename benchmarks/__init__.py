"""Our pipeline measured beside what one would use instead. See benchmarks/README.md."""

from stages.run.interrupts import end_quietly_at_ctrl_c

end_quietly_at_ctrl_c()
