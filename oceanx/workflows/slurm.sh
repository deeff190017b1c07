#!/bin/bash
@OPTIONS@
# Two minutes before the time is over, and where the job is preempted: training writes a checkpoint and leaves.
#SBATCH --signal=USR1@120
#SBATCH --open-mode=append

@BEFORE@
run=@RUN@
first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
port=$((20000 + SLURM_JOB_ID % 20000))

# torchrun itself must live through the signal; what it starts, listens to it.
srun --kill-on-bad-exit=1 bash -c 'trap "" USR1; exec "$@"' train \
    torchrun --nnodes="$SLURM_NNODES" --nproc-per-node=@PROCESSES@ \
    --rdzv-backend=c10d --rdzv-endpoint="$first:$port" --rdzv-id="$SLURM_JOB_ID.${SLURM_RESTART_COUNT:-0}" \
    -m oceanx train @WORDS@ --to "$run" --resume
status=$?

if [ "$status" -ne 0 ] && grep -q '"stopped": "SIG' "$run/run.json" 2> /dev/null; then
    @AGAIN@
fi
exit "$status"
