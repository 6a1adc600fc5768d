"""Half precision on CPUs."""

import torch

# What autocast on a CPU takes; torch before 2.3 knows bfloat16 alone there.
HALF_DTYPES = (torch.bfloat16, torch.float16)[
    : 2 if hasattr(torch.amp, 'GradScaler') else 1
]
